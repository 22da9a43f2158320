//! Places where clients meet, on two nodes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use events::meeting::{Meetings as _, Place};
use live::MeetingPlaces;
use sqlx::PgPool;
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(30);

/// With connections of its own.
struct Node {
    database: PgPool,
    places: MeetingPlaces,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Node {
    async fn start(database: &TestDatabase, number: i64) -> Self {
        let database = PgPool::connect(&database.url()).await.unwrap();
        let places = MeetingPlaces::new(database.clone(), number);
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(places.clone().run(shutdown.clone()));
        Self {
            database,
            places,
            shutdown,
            tracker,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.database.close().await;
    }
}

#[tokio::test]
async fn what_is_brought_on_one_node_is_found_on_another_and_a_place_takes_one_thing() {
    let database = TestDatabase::create().await;
    let here = Node::start(&database, 1).await;
    let there = Node::start(&database, 2).await;
    let place = Place::new("test", "a");
    assert!(
        !there.places.bring(place, "early".into()).await.unwrap(),
        "nobody waits"
    );
    here.places.open(place, PATIENCE).await.unwrap();
    let finding = tokio::time::timeout(PATIENCE, here.places.find(place));
    let bringing = there.places.bring(place, "thing".into());
    let (found, brought) = tokio::join!(finding, bringing);
    assert_eq!(found.unwrap().unwrap(), "thing");
    assert!(brought.unwrap());
    assert!(!there.places.bring(place, "another".into()).await.unwrap());
    here.places.close(place).await.unwrap();
    assert!(!there.places.bring(place, "late".into()).await.unwrap());
    here.stop().await;
    there.stop().await;
}

/// Waits until so many nodes hold their lifelines.
async fn alive(database: &TestDatabase, expected: usize) {
    let reached = async {
        while locks::lifelines(&database.pool).await.unwrap().len() != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("they come and go");
}

#[tokio::test]
async fn nothing_is_brought_to_who_waited_on_a_node_that_is_gone() {
    let database = TestDatabase::create().await;
    // Numbers may be negative.
    let here = Node::start(&database, -2).await;
    let there = Node::start(&database, i64::MAX).await;
    alive(&database, 2).await;
    let (theirs, ours) = (Place::new("test", "theirs"), Place::new("test", "ours"));
    here.places.open(theirs, PATIENCE).await.unwrap();
    there.places.open(ours, PATIENCE).await.unwrap();
    here.stop().await;
    alive(&database, 1).await;
    assert!(!there.places.bring(theirs, "late".into()).await.unwrap());
    assert!(there.places.bring(ours, "thing".into()).await.unwrap());
    there.stop().await;
}

#[tokio::test]
async fn a_node_whose_session_was_ended_is_as_good_as_before() {
    let database = TestDatabase::create().await;
    let node = Node::start(&database, 1).await;
    alive(&database, 1).await;
    let place = Place::new("test", "a");
    node.places.open(place, PATIENCE).await.unwrap();
    let ended: bool = sqlx::query_scalar(
        "SELECT bool_and(pg_terminate_backend(pid, 30000)) FROM pg_locks JOIN pg_database ON database = pg_database.oid
         WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(ended);
    alive(&database, 1).await;
    assert!(node.places.bring(place, "thing".into()).await.unwrap());
    node.stop().await;
}

#[tokio::test]
async fn what_is_left_is_replaced_and_forgotten_in_time() {
    let database = TestDatabase::create().await;
    let node = Node::start(&database, 1).await;
    let (place, other) = (Place::new("test", "a"), Place::new("other", "a"));
    assert_ne!(place, other, "kinds do not meet");
    node.places
        .leave(place, "first".into(), PATIENCE)
        .await
        .unwrap();
    node.places
        .leave(place, "second".into(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(node.places.find(place).await.unwrap(), "second");
    assert_eq!(node.places.find(place).await.unwrap(), "second", "it stays");
    node.places
        .leave(place, "gone".into(), Duration::ZERO)
        .await
        .unwrap();
    node.places.open(place, PATIENCE).await.unwrap();
    assert!(
        node.places.bring(place, "new".into()).await.unwrap(),
        "what is over was cleared away"
    );
    node.stop().await;
}
