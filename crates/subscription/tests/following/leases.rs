use std::time::Duration;

use events::Family;
use subscription::Timing;

use crate::support::{TIMING, Tally, World, upto};

const ALL: &[Family] = &Family::ALL;

#[tokio::test]
async fn two_nodes_apply_every_event_once_and_one_takes_over_when_the_other_stops() {
    let mut world = World::new().await;
    let (here, there) = (Tally::of("tally", ALL), Tally::of("tally", ALL));
    let first = world.node("first", std::slice::from_ref(&here));
    let held = world
        .until(&here, |standing| standing.lease.is_some())
        .await;
    assert_eq!(held.lease.unwrap().node, "first");
    let second = world.node("second", &[there]);
    for _ in 0..50 {
        world.append(2).await;
    }
    second.reached("tally", world.history.head()).await;
    assert_eq!(world.standing(&here).await.lease.unwrap().node, "first");
    first.stop().await;
    let position = world.append(5).await;
    second.reached("tally", position).await;
    assert_eq!(world.standing(&here).await.lease.unwrap().node, "second");
    assert_eq!(world.kept("tally").await, upto(105));
    second.stop().await;
    // Postgres gives the lock back when it has noticed that the session is over.
    world
        .until(&here, |standing| standing.lease.is_none())
        .await;
}

#[tokio::test]
async fn a_lease_dies_with_the_session_that_writes() {
    let mut world = World::new().await;
    let (here, there) = (Tally::of("tally", ALL), Tally::of("tally", ALL));
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    here.set(5, crate::support::Trap::Gate(gate.clone()));
    let first = world.node("first", std::slice::from_ref(&here));
    world
        .until(&here, |standing| standing.lease.is_some())
        .await;
    let second = world.node("second", &[there]);
    world.append(10).await;
    here.stopped.acquire().await.unwrap().forget();
    // The first node has rows written and its transaction open; its machine is gone for Postgres now.
    assert!(world.kill_sessions("first").await >= 1);
    second.reached("tally", world.history.head()).await;
    assert_eq!(world.standing(&here).await.lease.unwrap().node, "second");
    // It wakes up again, and what it still wanted to commit comes to nothing.
    gate.add_permits(100);
    let position = world.append(10).await;
    second.reached("tally", position).await;
    first.reached("tally", position).await;
    assert_eq!(world.kept("tally").await, upto(20));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn leases_spread_over_nodes_that_look_for_some_at_the_same_time() {
    let world = World::new().await;
    let (tally, other) = (Tally::of("tally", ALL), Tally::of("other", ALL));
    let polite = Timing {
        courtesy: Duration::from_secs(3),
        ..TIMING
    };
    let nodes = ["first", "second"]
        .map(|name| world.node_with(polite, name, &[tally.clone(), other.clone()]));
    let one = world
        .until(&tally, |standing| standing.lease.is_some())
        .await;
    let two = world
        .until(&other, |standing| standing.lease.is_some())
        .await;
    assert_ne!(one.lease.unwrap().node, two.lease.unwrap().node);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_holder_that_shows_no_sign_of_life_loses_its_lease() {
    let mut world = World::new().await;
    let (here, there) = (Tally::of("tally", ALL), Tally::of("tally", ALL));
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    here.set(5, crate::support::Trap::Gate(gate.clone()));
    let first = world.node("first", std::slice::from_ref(&here));
    world
        .until(&here, |standing| standing.lease.is_some())
        .await;
    world.append(10).await;
    // Like a process that was stopped: its transaction is open, its session alive, and nothing happens.
    here.stopped.acquire().await.unwrap().forget();
    let impatient = Timing {
        stalled: Duration::from_millis(300),
        ..TIMING
    };
    let second = world.node_with(impatient, "second", &[there]);
    second.reached("tally", world.history.head()).await;
    assert_eq!(world.standing(&here).await.lease.unwrap().node, "second");
    gate.add_permits(100);
    let position = world.append(10).await;
    first.reached("tally", position).await;
    assert_eq!(world.kept("tally").await, upto(20));
    first.stop().await;
    second.stop().await;
}
