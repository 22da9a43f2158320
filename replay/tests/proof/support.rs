//! A log with a history, and workers on it.

use std::sync::Arc;
use std::time::Duration;

use events::Position;
use projections::{Connections, MODELS, Model, Queries};
use replay::Environment;
use store_postgres::{PgEventStore, PgSubjectKeys};
use subscription::{Options, Subscription, Timing};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::History;
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: Arc<PgEventStore>,
    pub(crate) keys: Arc<PgSubjectKeys>,
    pub(crate) environment: Environment,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Arc::new(database.event_store().await);
        let entropy = Arc::new(SeededEntropy::default());
        let keys = Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy.clone()));
        let environment = Environment {
            store: store.clone(),
            keys: keys.clone(),
            database: database.pool.clone(),
            clock: Arc::new(FrozenClock::default()),
            entropy,
            operator: "eve".into(),
            shutdown: CancellationToken::new(),
        };
        Self {
            database,
            store,
            keys,
            environment,
        }
    }

    pub(crate) async fn append(&self, history: &History) {
        history.append(&*self.store, &*self.keys).await;
    }

    /// Runs workers for all read models until they have come to the end of the log, and longer.
    pub(crate) async fn workers(&self) -> Workers {
        let progress = Model::progress();
        let (subscription, _) = Subscription::new(Options {
            store: self.store.clone(),
            keys: self.keys.clone(),
            database: self.database.pool.clone(),
            clock: Arc::new(FrozenClock::default()),
            node: "worker".to_owned(),
            projections: MODELS.iter().map(|model| model.projection()).collect(),
            progress: progress.clone(),
            timing: Timing {
                retry: Duration::from_millis(50),
                ..Timing::default()
            },
        });
        let options = self.database.connect_options();
        let queries = Queries::new(
            options,
            Connections::default(),
            self.store.clone(),
            progress,
        );
        let shutdown = CancellationToken::new();
        let tracker = TaskTracker::new();
        tracker.spawn(subscription.run(shutdown.clone()));
        tracker.close();
        let workers = Workers {
            queries,
            shutdown,
            tracker,
        };
        let head = workers.queries.head().await.unwrap();
        workers.reached(head).await;
        workers
    }

    /// Every row of a table of the live read models, as text.
    pub(crate) async fn rows(&self, model: Model) -> Vec<String> {
        let mut rows = Vec::new();
        for table in model.projection().tables() {
            let sql = format!("SELECT to_jsonb(t)::text FROM read_models.{table} t ORDER BY 1");
            let sql = sqlx::AssertSqlSafe(sql);
            let found: Vec<String> = sqlx::query_scalar(sql)
                .fetch_all(&self.database.pool)
                .await
                .unwrap();
            rows.extend(found);
        }
        rows
    }

    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        sqlx::query(sql)
            .execute(&self.database.pool)
            .await
            .unwrap()
            .rows_affected()
    }

    /// Schemas that a rebuild or a verification has left.
    pub(crate) async fn residue(&self) -> Vec<String> {
        let sql = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'rebuild%' OR nspname LIKE 'verify%'";
        sqlx::query_scalar(sql)
            .fetch_all(&self.database.pool)
            .await
            .unwrap()
    }
}

pub(crate) struct Workers {
    pub(crate) queries: Queries,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Workers {
    pub(crate) async fn reached(&self, position: Position) {
        let reached = self.queries.caught_up(MODELS, position, LONG).await;
        assert!(reached, "{:?} of {position}", self.queries.positions());
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LONG, self.tracker.wait())
            .await
            .expect("workers stop");
    }
}

/// A history of all kinds of events.
pub(crate) fn random_history(events: u64) -> History {
    let choices: Vec<u64> = (0..events).map(mixed).collect();
    History::from_choices(&choices)
}

/// The finisher of `SplitMix64`: all bits of the result depend on all bits of `n`.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
