//! The event store: a handle on the appender and on the pool for reading.

use std::sync::Arc;

use async_trait::async_trait;
use events::ports::Clock;
use events::store::{
    Append, AppendError, Appended, Batch, EventStore, Position, ReadError, Recorded, Revision,
};
use events::stream::{Family, StreamId};
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::appender::{self, Appender, Queue};
use crate::follow::{self, Recent};
use crate::options::Options;
use crate::read::{self, Log};
use crate::scan;
use crate::types::{self, StartError};
use crate::wake::{self, Head};

/// The log on Postgres. Cheap to clone; all clones append through the same task.
#[derive(Clone, Debug)]
pub struct PgEventStore {
    log: Log,
    queue: Queue,
    head: Arc<Head>,
    recent: Arc<Recent>,
}

impl PgEventStore {
    /// Starts the appender, and the tasks that hear of other nodes' appends, on `tracker`.
    ///
    /// At `shutdown` the store takes no more appends, commits those that wait, and its tasks end.
    pub async fn start(
        options: Options,
        clock: Arc<dyn Clock>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let pool = options.pool.clone();
        types::agree(&pool).await?;
        let position: i64 = sqlx::query_scalar("SELECT position FROM log.head")
            .fetch_one(&pool)
            .await?;
        let position = Position::from_i64(position);
        let head = Arc::new(Head::new(position));
        let recent = Arc::new(Recent::new(options.recent_bytes));
        wake::start(&pool, &head, tracker, &shutdown);
        let (queue, waiting) = appender::queue(&options, shutdown);
        let appender = Appender::new(options, clock, head.clone(), recent.clone(), position);
        tracker.spawn(appender.run(waiting));
        Ok(Self {
            log: Log::new(pool),
            queue,
            head,
            recent,
        })
    }
}

#[async_trait]
impl EventStore for PgEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.queue.submit(append).await
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        read::stream(&self.log, stream, from, limit).await
    }

    async fn read_all(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Batch, ReadError> {
        read::all(&self.log, after, families, limit).await
    }

    fn follow(
        &self,
        after: Position,
        families: &[Family],
    ) -> BoxStream<'static, Result<Batch, ReadError>> {
        follow::follow(
            self.log.clone(),
            &self.head,
            self.recent.clone(),
            after,
            families,
        )
    }

    async fn head(&self) -> Result<Position, ReadError> {
        read::head(&self.log.pool).await
    }

    fn scan(
        &self,
        after: Position,
        through: Position,
        families: &[Family],
        limit: usize,
    ) -> BoxStream<'_, Result<Batch, ReadError>> {
        self.scan_without(after, through, families, &[], limit)
    }

    fn scan_without(
        &self,
        after: Position,
        through: Position,
        families: &[Family],
        spare: &[(Family, &'static str)],
        limit: usize,
    ) -> BoxStream<'_, Result<Batch, ReadError>> {
        scan::scan(&self.log, (after, through), families, spare, limit)
    }

    fn checks_guards(&self) -> bool {
        true
    }

    fn reads_archive(&self) -> bool {
        true
    }
}
