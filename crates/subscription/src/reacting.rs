//! The component that works on reactors, beside the subscription whose feed it shares.

use std::sync::Arc;

use events::ports::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::component::{Handle, Timing};
use crate::lease::Held;
use crate::progress::Progress;
use crate::reactor::Reactor;
use crate::worker::{Shared, Worker};

/// What working on reactors needs.
pub struct ReactingOptions {
    /// The running subscription, whose reader of the log is shared.
    pub following: Handle,
    /// Where checkpoints, leases and states are kept. Workers open a connection each beside this pool, with its options.
    pub database: PgPool,
    /// For the age of events in the metrics.
    pub clock: Arc<dyn Clock>,
    /// What this process calls itself towards others; shown with the leases it holds.
    pub node: String,
    /// What it works on.
    pub reactors: Vec<Arc<dyn Reactor>>,
    /// The board on which progress is noted, if it knows the reactors' names.
    pub progress: Progress,
    /// How long it waits for what.
    pub timing: Timing,
}

/// Works on reactors: one worker each over all nodes, by lease.
pub struct Reacting(Vec<Worker>);

impl Reacting {
    /// Workers that are not running yet.
    pub fn new(options: ReactingOptions) -> Self {
        let ReactingOptions {
            following,
            database,
            clock,
            node,
            reactors,
            progress,
            timing,
        } = options;
        let shared = Shared {
            database: (*database.connect_options()).clone(),
            node: node.into(),
            feed: following.feed(),
            progress,
            clock,
            timing,
            held: Held::default(),
        };
        let worker = |reactor| Worker::reacting(shared.clone(), reactor);
        Self(reactors.into_iter().map(worker).collect())
    }

    /// Runs until `shutdown`; returns when every reactor has finished its portion, saved its checkpoint and given its
    /// lease back.
    pub async fn run(self, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        for worker in self.0 {
            tasks.spawn(worker.run(shutdown.clone()));
        }
        tasks.close();
        tasks.wait().await;
    }
}
