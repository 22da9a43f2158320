//! A log, a projection that keeps every event's position, and nodes that work on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events::codec::Fact;
use events::{EventStore, Family, Position, StreamId};
use sqlx::{PgConnection, PgPool};
use store_postgres::{PgEventStore, PgSubjectKeys};
use subscription::{
    ApplyError, Handle, Options, Progress, Projection, Standing, State, Subscription, Timing,
    Unfit, standings,
};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::samples::Address;
use testkit::history::{History, samples};
use testkit::postgres::TestDatabase;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) const TIMING: Timing = Timing {
    retry: Duration::from_millis(50),
    courtesy: Duration::from_millis(5),
    heartbeat: Duration::from_millis(100),
    stalled: Duration::from_secs(15),
    save_after: Duration::from_millis(20),
    tell_after: Duration::from_millis(5),
    look_after: Duration::from_millis(200),
};

/// What happens when a projection comes to an event.
#[derive(Clone)]
pub(crate) enum Trap {
    /// The fold says that the event does not fit.
    Unfit,
    /// A constraint of the table refuses it.
    Constraint,
    /// The fold panics.
    Panic,
    /// The transaction stays open, with rows written, until the gate has a permit.
    Gate(Arc<Semaphore>),
}

/// Keeps the position of every event it gets. An event that came twice would break the primary key.
pub(crate) struct Tally {
    name: &'static str,
    families: &'static [Family],
    pub(crate) traps: Mutex<HashMap<Position, Trap>>,
    /// One permit for each event that a gate has stopped.
    pub(crate) stopped: Semaphore,
}

impl Tally {
    pub(crate) fn of(name: &'static str, families: &'static [Family]) -> Arc<Self> {
        Arc::new(Self {
            name,
            families,
            traps: Mutex::default(),
            stopped: Semaphore::new(0),
        })
    }

    pub(crate) fn set(&self, position: u64, trap: Trap) {
        self.traps.lock().unwrap().insert(Position(position), trap);
    }

    fn trap(&self, fact: &Fact) -> Option<Trap> {
        self.traps.lock().unwrap().get(&fact.position).cloned()
    }
}

#[async_trait]
impl Projection for Tally {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        1
    }

    fn families(&self) -> &'static [Family] {
        self.families
    }

    fn tables(&self) -> &'static [&'static str] {
        &["tally_v1"]
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        facts: &[&Fact],
    ) -> Result<(), ApplyError> {
        for fact in facts {
            assert!(self.families.contains(&fact.stream.family()));
            match self.trap(fact) {
                Some(Trap::Unfit) => {
                    return Err(Unfit {
                        position: fact.position,
                        what: "it is cursed".to_owned(),
                    }
                    .into());
                }
                Some(Trap::Panic) => panic!("it is cursed"),
                _ => {}
            }
        }
        let positions: Vec<_> = facts.iter().map(|fact| fact.position.to_i64()).collect();
        let refused: Vec<_> = facts
            .iter()
            .map(|fact| matches!(self.trap(fact), Some(Trap::Constraint)))
            .collect();
        sqlx::query(
            "INSERT INTO tally_v1 SELECT $1, position, refused
             FROM unnest($2::bigint[], $3::boolean[]) AS t(position, refused)",
        )
        .bind(self.name)
        .bind(positions)
        .bind(refused)
        .execute(connection)
        .await?;
        for fact in facts {
            if let Some(Trap::Gate(gate)) = self.trap(fact) {
                self.stopped.add_permits(1);
                gate.acquire().await.unwrap().forget();
            }
        }
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: Arc<PgEventStore>,
    pub(crate) keys: Arc<PgSubjectKeys>,
    pub(crate) history: History,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        sqlx::raw_sql(
            "CREATE TABLE read_models.tally_v1 (
                 projection text NOT NULL, position bigint NOT NULL, refused boolean CHECK (NOT refused),
                 PRIMARY KEY (projection, position)
             )",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        let store = Arc::new(database.event_store().await);
        let keys = Arc::new(PgSubjectKeys::new(
            database.pool.clone(),
            Arc::new(SeededEntropy::default()),
        ));
        Self {
            database,
            store,
            keys,
            history: History::default(),
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// Appends messages, one by one; tells the position of the last.
    pub(crate) async fn append(&mut self, messages: u32) -> Position {
        let known = self.history.facts().len();
        for n in 0..messages {
            self.history.message(
                Address(1, 1, 1),
                u32::try_from(known).unwrap() + n,
                b"hello",
            );
        }
        self.history
            .append_from(known, &*self.store, &*self.keys)
            .await;
        self.history.head()
    }

    /// Appends an event of an account.
    pub(crate) async fn append_account(&mut self, n: u32) -> Position {
        let known = self.history.facts().len();
        self.history.then(
            StreamId::account(samples::aci(n)),
            samples::registered(n, 1),
        );
        self.history
            .append_from(known, &*self.store, &*self.keys)
            .await;
        self.history.head()
    }

    /// Starts a node.
    pub(crate) fn node(&self, name: &str, projections: &[Arc<Tally>]) -> Node {
        self.node_with(TIMING, name, projections)
    }

    pub(crate) fn node_with(&self, timing: Timing, name: &str, projections: &[Arc<Tally>]) -> Node {
        let progress = Progress::new(["tally", "other"].map(|name| (name, 1)));
        let (subscription, handle) = Subscription::new(Options {
            store: self.store.clone(),
            keys: self.keys.clone(),
            database: self.database.pool.clone(),
            clock: Arc::new(FrozenClock::default()),
            node: name.to_owned(),
            projections: projections
                .iter()
                .map(|it| it.clone() as Arc<dyn Projection>)
                .collect(),
            progress: progress.clone(),
            timing,
        });
        let shutdown = CancellationToken::new();
        let tracker = TaskTracker::new();
        tracker.spawn(subscription.run(shutdown.clone()));
        tracker.close();
        Node {
            progress,
            handle,
            shutdown,
            tracker,
        }
    }

    /// The positions that a projection has kept, in order.
    pub(crate) async fn kept(&self, projection: &str) -> Vec<u64> {
        let kept: Vec<i64> = sqlx::query_scalar(
            "SELECT position FROM read_models.tally_v1 WHERE projection = $1 ORDER BY 1",
        )
        .bind(projection)
        .fetch_all(self.pool())
        .await
        .unwrap();
        kept.into_iter()
            .map(|position| position.try_into().unwrap())
            .collect()
    }

    pub(crate) async fn standing(&self, projection: &Tally) -> Standing {
        let store: &dyn EventStore = &*self.store;
        let all = standings(self.pool(), store, &FrozenClock::default(), &[projection])
            .await
            .unwrap();
        all.into_iter().next().unwrap()
    }

    /// Waits until the projection stands as `wanted` says.
    pub(crate) async fn until(
        &self,
        projection: &Tally,
        wanted: impl Fn(&Standing) -> bool,
    ) -> Standing {
        let look = async {
            loop {
                let standing = self.standing(projection).await;
                if wanted(&standing) {
                    return standing;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, look)
            .await
            .expect("the projection comes to stand as wanted")
    }

    pub(crate) async fn until_stopped(&self, projection: &Tally) -> (Position, String) {
        let stopped = |standing: &Standing| matches!(standing.state, State::Stopped { .. });
        match self.until(projection, stopped).await.state {
            State::Stopped { position, error } => (position, error),
            State::New | State::Running => unreachable!("it was waited for"),
        }
    }

    /// Ends the sessions of a node, as a crash of its machine would.
    pub(crate) async fn kill_sessions(&self, node: &str) -> u64 {
        let killed = sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()")
            .bind(node)
            .execute(self.pool())
            .await
            .unwrap();
        killed.rows_affected()
    }
}

pub(crate) struct Node {
    pub(crate) progress: Progress,
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Node {
    pub(crate) async fn reached(&self, projection: &str, position: Position) {
        let reached = self.progress.reached(&[projection], position, LONG).await;
        assert!(
            reached,
            "{projection} is at {} of {position}",
            self.progress.of(projection)
        );
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LONG, self.tracker.wait())
            .await
            .expect("the node stops");
    }
}

pub(crate) fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}
