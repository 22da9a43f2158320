//! The component that a server starts: a worker for each reactor.

use std::sync::Arc;

use events::ports::Clock;
use sqlx::PgPool;
use subscription::{Handle, Progress, Reacting, ReactingOptions, Reactor, Timing};
use tokio_util::sync::CancellationToken;

/// What reactors need.
pub struct Options {
    /// The running subscription, whose reader of the log is shared.
    pub following: Handle,
    /// Where checkpoints, leases and states are kept.
    pub database: PgPool,
    /// For the age of events in the metrics.
    pub clock: Arc<dyn Clock>,
    /// What this process calls itself towards others; shown with the leases it holds.
    pub node: String,
    /// What is to be done.
    pub reactors: Vec<Arc<dyn Reactor>>,
    /// How long it waits for what.
    pub timing: Timing,
}

/// Works on reactors.
pub struct Reactors {
    reacting: Reacting,
    progress: Progress,
}

impl Reactors {
    /// Reactors that are not running yet.
    pub fn new(options: Options) -> Self {
        let Options {
            following,
            database,
            clock,
            node,
            reactors,
            timing,
        } = options;
        let progress = Progress::new(reactors.iter().map(|reactor| (reactor.name(), 1)));
        let reacting = Reacting::new(ReactingOptions {
            following,
            database,
            clock,
            node,
            reactors,
            progress: progress.clone(),
            timing,
        });
        Self { reacting, progress }
    }

    /// How far each reactor of this process has come.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Runs until `shutdown`; returns when every reactor has finished its portion and saved its checkpoint.
    pub async fn run(self, shutdown: CancellationToken) {
        self.reacting.run(shutdown).await;
    }
}
