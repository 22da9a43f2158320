//! The component that a server starts: the feed, a worker for each projection, and word from other nodes.

use std::sync::Arc;
use std::time::Duration;

use events::codec::Fact;
use events::personal::SubjectKeys;
use events::ports::Clock;
use events::{EventStore, Family, ReadError};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::decode::Reader;
use crate::feed::{Feed, Tail};
use crate::hearsay::Hearsay;
use crate::lease::Held;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::worker::{Shared, Worker};

/// What a subscription needs.
pub struct Options {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The keys to personal values.
    pub keys: Arc<dyn SubjectKeys>,
    /// Where the read models are. Workers open a connection each beside this pool, with its options.
    pub database: PgPool,
    /// For the age of events in the metrics.
    pub clock: Arc<dyn Clock>,
    /// What this process calls itself towards others; shown with the leases it holds.
    pub node: String,
    /// What it works on. None at all leaves a process that only follows the log and hears of progress.
    pub projections: Vec<Arc<dyn Projection>>,
    /// The board on which progress is noted: that of the workers here, and of those elsewhere.
    pub progress: Progress,
    /// How long it waits for what.
    pub timing: Timing,
}

/// How long a subscription waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two attempts to get a lease, or to pass an event that stopped a projection.
    pub retry: Duration,
    /// Before asking for a lease, for each lease that the process holds already: so leases spread over nodes.
    pub courtesy: Duration,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// A holder of a lease that has shown no sign of life for so long loses it. Several heartbeats.
    pub stalled: Duration,
    /// Between two saves of a checkpoint while nothing concerns the projection.
    pub save_after: Duration,
    /// Between two notifications of other nodes.
    pub tell_after: Duration,
    /// Between two looks at the checkpoints.
    pub look_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(1),
            courtesy: Duration::from_millis(20),
            heartbeat: Duration::from_secs(5),
            stalled: Duration::from_secs(15),
            save_after: Duration::from_millis(500),
            tell_after: Duration::from_millis(10),
            look_after: Duration::from_secs(1),
        }
    }
}

/// Follows the log for everybody in this process.
pub struct Subscription {
    feed: Feed,
    workers: Vec<Worker>,
    hearsay: Hearsay,
}

/// A way to follow the log through the running subscription. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    feed: Feed,
}

impl Subscription {
    /// A subscription that is not running yet, and a handle to it.
    pub fn new(options: Options) -> (Self, Handle) {
        let Options {
            store,
            keys,
            database,
            clock,
            node,
            projections,
            progress,
            timing,
        } = options;
        let feed = Feed::new(Reader::new(store, keys));
        let handle = Handle { feed: feed.clone() };
        let hearsay = Hearsay::new(database.clone(), progress.clone(), timing);
        let shared = Shared {
            database: (*database.connect_options()).clone(),
            node: node.into(),
            feed: feed.clone(),
            progress,
            clock,
            timing,
            held: Held::default(),
        };
        let workers = projections
            .into_iter()
            .map(|it| Worker::new(shared.clone(), it))
            .collect();
        (
            Self {
                feed,
                workers,
                hearsay,
            },
            handle,
        )
    }

    /// Runs until `shutdown`; returns when every worker has finished its batch, saved its checkpoint and given its
    /// lease back.
    pub async fn run(self, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        // Workers first: those that follow read by themselves what the feed handed out before they came.
        for worker in self.workers {
            tasks.spawn(worker.run(shutdown.clone()));
        }
        tasks.spawn(self.hearsay.run(shutdown.clone()));
        let feed = self.feed;
        tasks.spawn(async move { feed.run(shutdown).await });
        tasks.close();
        tasks.wait().await;
    }
}

impl Handle {
    /// The feed, for others who follow the log through it.
    pub(crate) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Everything of `families` that is appended from this moment on, on whichever node, in order, without gap or
    /// repeat; each item holds what came at once. Never ends: failures are waited out.
    ///
    /// An event that this version cannot read is left out.
    pub async fn live(
        &self,
        families: &'static [Family],
    ) -> Result<BoxStream<'static, Vec<Arc<Fact>>>, ReadError> {
        let head = self.feed.head().await?;
        let tail = self.feed.tail(families, head);
        let portions = futures::stream::unfold(
            (tail, Backoff::default()),
            |(mut tail, mut backoff)| async {
                let facts = next(&mut tail, &mut backoff).await;
                Some((facts, (tail, backoff)))
            },
        );
        Ok(portions
            .filter(|facts| std::future::ready(!facts.is_empty()))
            .boxed())
    }
}

async fn next(tail: &mut Tail, backoff: &mut Backoff) -> Vec<Arc<Fact>> {
    loop {
        match tail.next().await {
            Ok(portion) => {
                backoff.reset();
                for it in portion.unreadable() {
                    tracing::error!(position = %it.position, what = it.what, "an event cannot be read and is left out");
                }
                return portion.facts().cloned().collect();
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log cannot be followed; trying again"
                );
                backoff.wait().await;
            }
        }
    }
}
