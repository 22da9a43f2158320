//! The component that keeps the tree: follows the log, fills tiles, signs heads.

use std::sync::Arc;
use std::time::Duration;

use events::codec::SCHEMA_VERSION;
use events::ports::{Clock, Entropy};
use events::tree::{TreeEvent, TreeHash};
use events::{
    Actor, Append, AppendError, Event as _, EventId, EventStore, Expected, Family, Metadata,
    NewEvent, Position, ReadError, RequestId, StreamId,
};
use locks::{Lock, Task};
use metrics::{counter, gauge};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::frontier::Frontier;
use crate::head::HeadKey;
use crate::{leaf, tiles};

/// How many events are read at once.
const AT_ONCE: usize = 5_000;

/// What keeping the tree needs.
pub struct KeeperOptions {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// Where tiles are.
    pub database: PgPool,
    /// For the time of heads.
    pub clock: Arc<dyn Clock>,
    /// For the ids of their events.
    pub entropy: Arc<dyn Entropy>,
    /// What signs heads.
    pub key: HeadKey,
    /// Between two heads, if anything has happened.
    pub every: Duration,
}

/// Keeps the tree while this process has the lock for it.
pub struct Keeper(KeeperOptions);

/// Why the tree is not kept at the moment. Trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The head cannot be stored.
    #[error("the head cannot be stored")]
    NotStored(#[from] AppendError),
    /// The tiles cannot be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The tree as far as it is kept.
struct Kept {
    frontier: Frontier,
    /// The leaves of the tile that is being filled.
    tail: Vec<TreeHash>,
    /// The position of the last event that was taken in.
    through: Position,
    /// Whether something other than heads came since the last head.
    news: bool,
}

impl Keeper {
    /// A keeper that is not running yet.
    pub const fn new(options: KeeperOptions) -> Self {
        Self(options)
    }

    /// Keeps the tree until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let keep = async {
            loop {
                if let Err(error) = self.keep().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the tree over the log is not kept; trying again"
                    );
                }
                tokio::time::sleep(self.0.every).await;
            }
        };
        shutdown.run_until_cancelled(keep).await;
    }

    /// Keeps the tree as long as the connection, and the lock that it holds, last.
    async fn keep(&self) -> Result<(), NotKept> {
        let Some(mut lock) = Lock::try_take(&self.0.database, Task::KeepTree).await? else {
            return Ok(());
        };
        let mut kept = Kept::load(lock.connection(), &*self.0.store).await?;
        loop {
            self.step(lock.connection(), &mut kept).await?;
            tokio::time::sleep(self.0.every).await;
        }
    }

    /// Takes in what the log has, and signs a head if there is news. One node at a time: `None` if another has the lock.
    pub async fn once(&self) -> Result<Option<u64>, NotKept> {
        let Some(mut lock) = Lock::try_take(&self.0.database, Task::KeepTree).await? else {
            return Ok(None);
        };
        let size = self.load_and_step(lock.connection()).await;
        lock.give_back().await;
        size.map(Some)
    }

    async fn load_and_step(&self, connection: &mut PgConnection) -> Result<u64, NotKept> {
        let mut kept = Kept::load(connection, &*self.0.store).await?;
        self.step(connection, &mut kept).await?;
        Ok(kept.frontier.size())
    }

    async fn step(&self, connection: &mut PgConnection, kept: &mut Kept) -> Result<(), NotKept> {
        let KeeperOptions { store, clock, .. } = &self.0;
        let head = store.head().await?;
        while kept.through < head {
            let batch = store.read_all(kept.through, &Family::ALL, AT_ONCE).await?;
            if batch.events.is_empty() {
                break;
            }
            kept.take(connection, &batch.events).await?;
        }
        gauge!("tree_size").set(as_metric(kept.frontier.size()));
        if kept.news {
            let (size, root) = (kept.frontier.size(), kept.frontier.root());
            let signed = self.0.key.sign(size, root, clock.now());
            self.record(signed.into()).await?;
            sqlx::query("UPDATE log.tree_signed SET size = $1, through = $2")
                .bind(Position(size).to_i64())
                .bind(kept.through.to_i64())
                .execute(&mut *connection)
                .await?;
            counter!("tree_heads_total").increment(1);
            kept.news = false;
        }
        Ok(())
    }

    async fn record(&self, event: TreeEvent) -> Result<(), NotKept> {
        let KeeperOptions {
            store,
            clock,
            entropy,
            ..
        } = &self.0;
        let at = clock.now();
        let id = uuid::Builder::from_unix_timestamp_millis(at.epoch_millis(), &entropy.bytes());
        let id = id.into_uuid();
        let metadata = Metadata {
            at,
            actor: Actor::System("tree".into()),
            request: RequestId(id),
            causation: None,
            correlation: Some(id),
            schema_version: SCHEMA_VERSION,
        };
        let new = NewEvent {
            id: EventId::from_uuid(id),
            type_name: event.type_name(),
            data: event
                .to_json()
                .expect("heads hold no personal value")
                .into(),
            metadata: serde_json::to_vec(&metadata)
                .expect("metadata are plain data")
                .into(),
            payloads: Vec::new(),
        };
        let append = Append::one(StreamId::tree(), Expected::Any, vec![new]);
        store.append(append).await?;
        Ok(())
    }
}

impl Kept {
    async fn load(connection: &mut PgConnection, store: &dyn EventStore) -> Result<Self, NotKept> {
        let (frontier, tail, through) = tiles::frontier(connection).await?;
        let signed: i64 = sqlx::query_scalar("SELECT through FROM log.tree_signed")
            .fetch_one(connection)
            .await?;
        let others = Family::ALL.into_iter().filter(|it| *it != Family::Tree);
        let others: Vec<Family> = others.collect();
        let unsigned = store
            .read_all(Position::from_i64(signed), &others, 1)
            .await?;
        let unsigned = unsigned.events.first();
        Ok(Self {
            news: unsigned.is_some_and(|event| event.position <= through),
            frontier,
            tail,
            through,
        })
    }

    /// Takes in what came next, and stores the tiles that it fills or begins.
    async fn take(
        &mut self,
        connection: &mut PgConnection,
        events: &[events::Recorded],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let mut grown = self.frontier.clone();
        let mut tail = self.tail.clone();
        let mut through = self.through;
        for event in events {
            through = event.position;
            let leaf = leaf::hash(event);
            grown.push(leaf);
            tail.push(leaf);
            if tail.len() as u64 == tiles::WIDTH {
                let tile = grown.size() / tiles::WIDTH - 1;
                tiles::store(&mut transaction, tile, through, &tail).await?;
                tail.clear();
            }
        }
        if !tail.is_empty() {
            let tile = grown.size() / tiles::WIDTH;
            tiles::store(&mut transaction, tile, through, &tail).await?;
        }
        transaction.commit().await?;
        self.news |= events
            .iter()
            .any(|event| event.stream.family() != Family::Tree);
        self.frontier = grown;
        self.tail = tail;
        self.through = through;
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
const fn as_metric(size: u64) -> f64 {
    size as f64
}
