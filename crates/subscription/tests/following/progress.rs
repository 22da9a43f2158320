use std::time::Duration;

use events::{Family, Position};

use crate::support::{LONG, Tally, World, upto};

const ALL: &[Family] = &Family::ALL;

#[tokio::test]
async fn a_projection_catches_up_and_then_follows() {
    let mut world = World::new().await;
    world.append(2_500).await;
    let node = world.node("one", &[Tally::of("tally", ALL)]);
    node.reached("tally", Position(2_500)).await;
    for _ in 0..20 {
        let position = world.append(3).await;
        node.reached("tally", position).await;
    }
    assert_eq!(world.kept("tally").await, upto(2_560));
    node.stop().await;
}

#[tokio::test]
async fn a_stopped_node_goes_on_where_it_was() {
    let mut world = World::new().await;
    let tally = Tally::of("tally", ALL);
    for round in 1..=4 {
        world.append(10).await;
        let node = world.node("one", std::slice::from_ref(&tally));
        let position = world.append(10).await;
        node.reached("tally", position).await;
        node.stop().await;
        assert_eq!(world.kept("tally").await, upto(20 * round));
    }
    assert_eq!(world.standing(&tally).await.behind.events, 0);
}

#[tokio::test]
async fn what_does_not_concern_a_projection_still_moves_it_on() {
    let mut world = World::new().await;
    let accounts = Tally::of("tally", &[Family::Account]);
    let node = world.node("one", std::slice::from_ref(&accounts));
    world.append(50).await;
    let account = world.append_account(1).await;
    let last = world.append(50).await;
    node.reached("tally", last).await;
    assert_eq!(world.kept("tally").await, [account.0]);
    world
        .until(&accounts, |standing| standing.checkpoint == last)
        .await;
    node.stop().await;
}

#[tokio::test]
async fn a_slow_projection_holds_up_nobody_and_misses_nothing() {
    let mut world = World::new().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let slow = Tally::of("tally", ALL);
    slow.set(1, crate::support::Trap::Gate(gate.clone()));
    let node = world.node("one", &[slow.clone(), Tally::of("other", ALL)]);
    world.append(1).await;
    slow.stopped.acquire().await.unwrap().forget();
    for _ in 0..200 {
        world.append(1).await;
    }
    node.reached("other", Position(201)).await;
    assert_eq!(node.progress.of("tally"), Position::START);
    gate.add_permits(1);
    node.reached("tally", Position(201)).await;
    assert_eq!(world.kept("tally").await, upto(201));
    assert_eq!(world.kept("other").await, upto(201));
    node.stop().await;
}

#[tokio::test]
async fn a_checkpoint_that_somebody_moved_is_taken_up() {
    let mut world = World::new().await;
    let tally = Tally::of("tally", ALL);
    let node = world.node("one", std::slice::from_ref(&tally));
    world.append(30).await;
    node.reached("tally", Position(30)).await;
    let mut transaction = world.pool().begin().await.unwrap();
    subscription::lock_checkpoint(&mut transaction, &*tally)
        .await
        .unwrap();
    sqlx::raw_sql("DELETE FROM read_models.tally_v1 WHERE position > 10")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let rewound = subscription::Checkpoint(Position(10));
    subscription::set_checkpoint(&mut transaction, &*tally, rewound)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    world.append(1).await;
    world
        .until(&tally, |standing| standing.checkpoint == Position(31))
        .await;
    assert_eq!(world.kept("tally").await, upto(31));
    node.stop().await;
}

#[tokio::test]
async fn a_node_without_workers_hears_how_far_others_are() {
    let mut world = World::new().await;
    let worker = world.node("worker", &[Tally::of("tally", ALL)]);
    let door = world.node("door", &[]);
    for _ in 0..10 {
        let position = world.append(1).await;
        door.reached("tally", position).await;
    }
    worker.stop().await;
    let position = world.append(1).await;
    let soon = Duration::from_millis(100);
    assert!(
        !door.progress.reached(&["tally"], position, soon).await,
        "nobody works on it"
    );
    assert!(
        door.progress
            .reached(&["tally"], Position(position.0 - 1), LONG)
            .await
    );
    door.stop().await;
}
