use std::sync::Arc;

use events::{Family, Position};
use tokio::sync::Semaphore;

use crate::support::{Tally, Trap, World, upto};

const ALL: &[Family] = &Family::ALL;

#[tokio::test]
async fn a_batch_whose_connection_is_killed_is_applied_again_as_a_whole() {
    let mut world = World::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let tally = Tally::of("tally", ALL);
    tally.set(7, Trap::Gate(gate.clone()));
    world.append(10).await;
    let node = world.node("one", std::slice::from_ref(&tally));
    tally.stopped.acquire().await.unwrap().forget();
    assert_eq!(world.kill_sessions("one").await, 1);
    gate.add_permits(2);
    node.reached("tally", Position(10)).await;
    assert_eq!(world.kept("tally").await, upto(10));
    node.stop().await;
}

#[tokio::test]
async fn connections_that_are_killed_again_and_again_lose_and_repeat_nothing() {
    let mut world = World::new().await;
    let projections = [Tally::of("tally", ALL), Tally::of("other", ALL)];
    let node = world.node("one", &projections);
    let (mut killed, mut appended) = (0, 0);
    while killed <= 5 {
        world.append(10).await;
        appended += 10;
        killed += world.kill_sessions("one").await;
    }
    node.reached("tally", Position(appended)).await;
    node.reached("other", Position(appended)).await;
    assert_eq!(world.kept("tally").await, upto(appended));
    assert_eq!(world.kept("other").await, upto(appended));
    node.stop().await;
}
