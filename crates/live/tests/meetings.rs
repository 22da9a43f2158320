//! Places where clients meet, on two nodes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use events::meeting::{Meetings as _, Place};
use live::MeetingPlaces;
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(30);

struct Node {
    places: MeetingPlaces,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Node {
    fn start(database: &TestDatabase) -> Self {
        let places = MeetingPlaces::new(database.pool.clone());
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(places.clone().run(shutdown.clone()));
        Self {
            places,
            shutdown,
            tracker,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[tokio::test]
async fn what_is_brought_on_one_node_is_found_on_another_and_a_place_takes_one_thing() {
    let database = TestDatabase::create().await;
    let (here, there) = (Node::start(&database), Node::start(&database));
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

#[tokio::test]
async fn what_is_left_is_replaced_and_forgotten_in_time() {
    let database = TestDatabase::create().await;
    let node = Node::start(&database);
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
