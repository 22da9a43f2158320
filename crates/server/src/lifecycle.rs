//! Stopping in order: first the doors, then the workers, then the store.
//!
//! Each stage is a tracker of tasks and a token that asks them to end. The first signal (or the failure of a task that
//! must not end) stops the stages one after the other; a second signal, or a stage that takes too long, cuts it short.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// How long a stage may take to end by itself.
const STAGE_PATIENCE: Duration = Duration::from_secs(10);

/// Tasks that end together.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    name: &'static str,
    /// Every task of the stage is spawned here.
    pub(crate) tracker: TaskTracker,
    /// Asks the tasks of the stage to end.
    pub(crate) token: CancellationToken,
    failed: CancellationToken,
}

impl Stage {
    fn new(name: &'static str, failed: &CancellationToken) -> Self {
        Self {
            name,
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
            failed: failed.clone(),
        }
    }

    /// Spawns a task without which the process is of no use: if it ends before it is asked to, everything stops.
    pub(crate) fn essential<F>(&self, what: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (token, failed) = (self.token.clone(), self.failed.clone());
        self.tracker.spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) if token.is_cancelled() => return,
                Ok(Ok(())) => error!(task = what, "ended although nobody asked it to; stopping"),
                Ok(Err(cause)) => error!(task = what, "failed; stopping: {cause:#}"),
                Err(_) => error!(task = what, "panicked; stopping"),
            }
            failed.cancel();
        });
    }

    async fn stop(&self) {
        self.token.cancel();
        self.tracker.close();
        if timeout(STAGE_PATIENCE, self.tracker.wait()).await.is_err() {
            warn!(
                stage = self.name,
                left = self.tracker.len(),
                "did not end in {STAGE_PATIENCE:?}; going on without"
            );
        }
    }
}

/// The stages of a process, from the outermost to the innermost.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// Listeners, requests, sockets.
    pub(crate) doors: Stage,
    /// Projections and reactors.
    pub(crate) workers: Stage,
    /// The appender and what reads the log.
    pub(crate) store: Stage,
    failed: CancellationToken,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        let failed = CancellationToken::new();
        Self {
            doors: Stage::new("doors", &failed),
            workers: Stage::new("workers", &failed),
            store: Stage::new("store", &failed),
            failed,
        }
    }

    /// Waits for a signal or a failure, then stops everything. The exit code tells which it was.
    pub(crate) async fn run(self) -> ExitCode {
        let failed = tokio::select! {
            name = any_signal() => {
                info!(signal = name, "stopping: finishing what has begun (a second signal cuts it short)");
                false
            }
            () = self.failed.cancelled() => true,
        };
        tokio::select! {
            () = self.stop() => {}
            name = any_signal() => warn!(signal = name, "cut short"),
        }
        if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// Stops everything, outermost first.
    pub(crate) async fn stop(&self) {
        for stage in [&self.doors, &self.workers, &self.store] {
            stage.stop().await;
        }
    }
}

/// The name of the next signal that asks the process to end.
pub(crate) async fn any_signal() -> &'static str {
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn stages_end_one_after_the_other() {
        let lifecycle = Lifecycle::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for stage in [&lifecycle.store, &lifecycle.doors, &lifecycle.workers] {
            let (order, token, name) = (Arc::clone(&order), stage.token.clone(), stage.name);
            stage.essential("note", async move {
                token.cancelled().await;
                order.lock().unwrap().push(name);
                Ok(())
            });
        }
        lifecycle.stop().await;
        assert_eq!(*order.lock().unwrap(), ["doors", "workers", "store"]);
    }

    #[tokio::test]
    async fn a_failed_task_stops_the_process_with_a_failure() {
        let lifecycle = Lifecycle::new();
        lifecycle
            .workers
            .essential("doomed", async { anyhow::bail!("no disk") });
        assert_eq!(
            format!("{:?}", lifecycle.run().await),
            format!("{:?}", ExitCode::FAILURE)
        );
    }
}
