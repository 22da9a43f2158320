//! The port, over the parts that do the work.

use std::sync::Arc;

use async_trait::async_trait;
use events::ports::Clock;
use events::{
    Append, AppendError, Appended, Batch, EventStore, Family, Position, ReadError, Recorded,
    Revision, StreamId,
};
use futures::stream::BoxStream;
use tokio_util::task::TaskTracker;

use crate::append::Appender;
use crate::cluster::Cluster;
use crate::{Error, Options, PayloadSink, follow, read};

/// The log on an EventStoreDB or KurrentDB cluster. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct EventStoreDb {
    cluster: Arc<Cluster>,
    appender: Arc<Appender>,
    payloads: Arc<dyn PayloadSink>,
    clock: Arc<dyn Clock>,
}

impl EventStoreDb {
    /// Connects, and reads the end of the log to see that the user may.
    ///
    /// Events get their time from `clock`, payloads go to `payloads`, and tasks run on `tasks` as long as the store or a
    /// follower lives.
    pub async fn connect(
        options: Options,
        clock: Arc<dyn Clock>,
        payloads: Arc<dyn PayloadSink>,
        tasks: &TaskTracker,
    ) -> Result<Self, Error> {
        let store = Self {
            cluster: Arc::new(Cluster::new(options, tasks.clone())?),
            appender: Arc::new(Appender::default()),
            payloads,
            clock,
        };
        store.cluster.link().await?;
        match read::head(&store.cluster).await {
            Ok(head) => tracing::info!(%head, "the log is readable"),
            Err(ReadError::Unavailable(error)) => {
                let other = |error: Box<dyn std::error::Error + Send + Sync>| {
                    Error::Other(error.to_string())
                };
                return Err(error.downcast::<Error>().map_or_else(other, |error| *error));
            }
            Err(damaged @ ReadError::Damaged { .. }) => {
                return Err(Error::Other(damaged.to_string()));
            }
        }
        Ok(store)
    }
}

#[async_trait]
impl EventStore for EventStoreDb {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let at = self.clock.now();
        self.appender
            .append(&self.cluster, &*self.payloads, append, at)
            .await
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        read::stream(&self.cluster, stream, from, limit).await
    }

    async fn read_all(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Batch, ReadError> {
        read::all(&self.cluster, after, families, limit).await
    }

    fn follow(
        &self,
        after: Position,
        families: &[Family],
    ) -> BoxStream<'static, Result<Batch, ReadError>> {
        follow::follow(&self.cluster, after, families)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        read::head(&self.cluster).await
    }

    fn scan(
        &self,
        after: Position,
        through: Position,
        families: &[Family],
        limit: usize,
    ) -> BoxStream<'_, Result<Batch, ReadError>> {
        follow::scan(&self.cluster, after, through, families, limit)
    }

    fn has_dense_positions(&self) -> bool {
        false
    }
}
