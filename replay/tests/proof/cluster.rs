//! A log on a cluster, whose positions have gaps between them.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use events::{Family, Position};
use replay::audit::tamper::{Proof, check, heads, prove};
use replay::import::import;
use replay::{Environment, ReplayError};
use store_eventstore::EventStoreDb;
use store_postgres::{PgPayloadStore, PgSubjectKeys};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::eventstore::Double;
use testkit::history::History;
use testkit::memory::MemoryStore;
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tree::{HeadKey, Keeper, KeeperOptions};

use crate::support::random_history;

struct Cluster {
    _double: Double,
    database: TestDatabase,
    keys: Arc<PgSubjectKeys>,
    environment: Environment,
}

impl Cluster {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let double = Double::sparse(Arc::new(MemoryStore::default())).await;
        let options = store_eventstore::Options::new(double.url().parse().unwrap());
        let clock = Arc::new(FrozenClock::default());
        let payloads = Arc::new(PgPayloadStore::new(database.pool.clone()));
        let tasks = TaskTracker::new();
        let store = EventStoreDb::connect(options, clock.clone(), payloads, &tasks).await;
        let store = Arc::new(store.unwrap());
        let entropy = Arc::new(SeededEntropy::default());
        let keys = Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy.clone()));
        let environment = Environment {
            store,
            keys: keys.clone(),
            database: database.pool.clone(),
            clock,
            entropy,
            operator: "eve".into(),
            shutdown: CancellationToken::new(),
        };
        Self {
            _double: double,
            database,
            keys,
            environment,
        }
    }

    async fn append(&self, history: &History, skip: usize) {
        let store = &*self.environment.store;
        history.append_from(skip, store, &*self.keys).await;
    }

    /// Signs what the log holds; tells how many events that is.
    async fn sign(&self) -> u64 {
        let keeper = Keeper::new(KeeperOptions {
            store: self.environment.store.clone(),
            database: self.database.pool.clone(),
            clock: Arc::new(FrozenClock::default()),
            entropy: Arc::new(SeededEntropy::new(
                self.environment.store.head().await.unwrap().0,
            )),
            key: key(),
            every: Duration::from_secs(1),
        });
        keeper.once().await.unwrap().expect("nobody else keeps it")
    }

    async fn positions(&self) -> Vec<Position> {
        let read = self
            .environment
            .store
            .read_all(Position::START, &Family::ALL, 1_000);
        let events = read.await.unwrap().events;
        events.iter().map(|event| event.position).collect()
    }
}

fn key() -> HeadKey {
    HeadKey::new(&[7; 32])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_counts_events_and_proofs_hold_where_positions_have_gaps() {
    let cluster = Cluster::new().await;
    let mut history = random_history(520);
    cluster.append(&history, 0).await;
    assert_eq!(cluster.sign().await, 520);
    let known = history.facts().len();
    history.message(
        testkit::history::samples::Address(1, 1, 1),
        999,
        b"one more",
    );
    cluster.append(&history, known).await;
    // The head over the 520 and the new message.
    assert_eq!(cluster.sign().await, 522);
    // No news.
    cluster.sign().await;
    let sizes: Vec<_> = heads(&cluster.environment)
        .await
        .unwrap()
        .iter()
        .map(|head| head.size)
        .collect();
    assert_eq!(sizes, [520, 522]);

    let public = key().public();
    let checked = check(&cluster.environment, &public, Vec::new())
        .await
        .unwrap();
    assert!(checked.is_clean(), "{:?}", checked.complaints);
    assert_eq!(
        (checked.events, checked.covered, checked.heads),
        (523, 522, 2)
    );
    let positions = cluster.positions().await;
    for index in [0, 1, 254, 255, 256, 257, 511, 512, 519, 521] {
        let proof = prove(&cluster.environment, positions[index]).await.unwrap();
        assert_eq!(proof.index, index as u64);
        let said = Proof::Inclusion(Box::new(proof)).verify(&public).unwrap();
        assert!(
            said.contains(&format!("position {} ", positions[index])),
            "{said}"
        );
    }
    let between = Position(positions[300].0 + 1);
    let proof = prove(&cluster.environment, between).await;
    assert!(matches!(proof, Err(ReplayError::NoSuchEvent(it)) if it == between));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_refused_with_the_reason_and_changes_nothing() {
    let cluster = Cluster::new().await;
    let refused = import(&cluster.environment, &mut Cursor::new(b"")).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("positions of its own"), "{said}");
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM log.events")
        .fetch_one(&cluster.database.pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
}
