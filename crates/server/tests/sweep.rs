//! The sweep of erasure beside an archive: fetching costs money, so it fetches only what it cannot do without.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::ids::DeviceAddress;
use events::{EventStore, PayloadId, Position, StreamId};
use reactors::erasure::{NotErased, Sweep, SweepOptions, Swept, Tools};
use replay::Environment;
use replay::retention::move_through;
use store_postgres::{PgPayloadStore, PgSubjectKeys};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::History;
use testkit::history::samples::{self, Address};
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tree::{HeadKey, Keeper, KeeperOptions};

const PHONE: Address = Address(1, 1, 1);

struct World {
    database: TestDatabase,
    keys: Arc<PgSubjectKeys>,
    clock: Arc<FrozenClock>,
    entropy: Arc<SeededEntropy>,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let entropy = Arc::new(SeededEntropy::default());
        let keys = PgSubjectKeys::new(database.pool.clone(), entropy.clone());
        Self {
            database,
            keys: Arc::new(keys),
            clock: Arc::default(),
            entropy,
        }
    }

    /// Signs the log, and moves what stands up to a position into a folder.
    async fn archive(&self, folder: &Path, through: Position) -> u64 {
        let store: Arc<dyn EventStore> = Arc::new(self.database.event_store().await);
        let keeper = Keeper::new(KeeperOptions {
            store: store.clone(),
            database: self.database.pool.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            key: HeadKey::new(&[7; 32]),
            every: Duration::from_secs(1),
        });
        keeper.once().await.unwrap().expect("nobody else keeps it");
        let environment = Environment {
            store,
            keys: self.keys.clone(),
            database: self.database.pool.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            operator: "eve".into(),
            shutdown: CancellationToken::new(),
        };
        let place = format!("file://{}", folder.display());
        let moved = move_through(&environment, &place, through, None).await;
        moved.unwrap().events
    }

    /// A sweep of a process that remembers no segment; its reactor has come to the end of the log.
    async fn sweep(&self) -> Result<Swept, NotErased> {
        let store = Arc::new(self.database.event_store().await);
        sqlx::query(
            "INSERT INTO projection.checkpoints (model, version, position, reactor) VALUES ('erasure', 1, $1, true)
             ON CONFLICT (model, version) DO UPDATE SET position = excluded.position",
        )
        .bind(store.head().await.unwrap().to_i64())
        .execute(&self.database.pool)
        .await
        .unwrap();
        let tools = Tools {
            store,
            payloads: Arc::new(PgPayloadStore::new(self.database.pool.clone())),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
        };
        let mut sweep = Sweep::new(SweepOptions {
            tools,
            database: self.database.pool.clone(),
            entropy: self.entropy.clone(),
            every: Duration::from_hours(24),
        });
        sweep.sweep().await
    }

    async fn execute(&self, sql: &'static str, payload: PayloadId) {
        let executed = sqlx::query(sql).bind(payload.0);
        executed.execute(&self.database.pool).await.unwrap();
    }

    async fn payloads(&self) -> Vec<PayloadId> {
        let ids = sqlx::query_scalar("SELECT id FROM log.payloads ORDER BY id");
        let ids: Vec<uuid::Uuid> = ids.fetch_all(&self.database.pool).await.unwrap();
        ids.into_iter().map(PayloadId).collect()
    }
}

fn message(n: u32) -> PayloadId {
    PayloadId(samples::guid(n).uuid())
}

#[tokio::test]
async fn a_sweep_opens_no_segment_of_the_archive_unless_a_payload_can_have_come_from_there() {
    let world = World::new().await;
    let mailbox = StreamId::mailbox(DeviceAddress::from(PHONE));
    let mut history = History::default();
    history.then(
        StreamId::account(samples::aci(1)),
        samples::registered(1, 1),
    );
    history.message(PHONE, 1, b"delivered");
    history.message(PHONE, 2, b"delivered");
    let old = history.then(mailbox.clone(), samples::delivered(&[1, 2]));
    history.message(PHONE, 3, b"delivered");
    history.message(PHONE, 4, b"waits");
    history.then(mailbox, samples::delivered(&[3]));
    let store = world.database.event_store().await;
    history.append(&store, &*world.keys).await;
    // As the reactor has done long ago; of the third it has not heard.
    for n in [1, 2] {
        let erase = "DELETE FROM log.payloads WHERE id = $1";
        world.execute(erase, message(n)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    assert_eq!(world.archive(&archive, old).await, 3);

    // Whoever fetches anything fails.
    let away = folder.path().join("away");
    std::fs::rename(&archive, &away).unwrap();
    let swept = world.sweep().await.unwrap();
    assert_eq!((swept.payloads, swept.orphans), (1, 0));
    assert_eq!(world.payloads().await, [message(4)]);

    // Somebody has restored an old copy of the payloads: nothing at hand speaks of this one.
    let restore = "INSERT INTO log.payloads (id, bytes) VALUES ($1, 'delivered')";
    world.execute(restore, message(2)).await;
    let failed = world.sweep().await;
    assert!(matches!(failed, Err(NotErased::Log(_))), "{failed:?}");
    std::fs::rename(&away, &archive).unwrap();
    let swept = world.sweep().await.unwrap();
    assert_eq!((swept.payloads, swept.orphans), (1, 0));
    assert_eq!(world.payloads().await, [message(4)]);
}
