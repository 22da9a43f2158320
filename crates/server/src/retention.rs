//! Old history moves to the archive from time to time.

use std::sync::Arc;
use std::time::Duration;

use crypto::secrets::ServerSecrets;
use replay::retention::{self, Moved};
use replay::{Environment, ReplayError};

use crate::config::Config;
use crate::keygen;
use crate::lifecycle::Lifecycle;
use crate::store::Store;

/// Between two runs.
const EVERY: Duration = Duration::from_hours(1);

/// Whose name the log keeps for what moves on schedule.
const OPERATOR: &str = "retention";

/// Starts moving, if the configuration says what and where to. One process at a time does, by a lock.
pub(crate) fn start(
    config: &Config,
    secrets: &ServerSecrets,
    store: &Store,
    lifecycle: &Lifecycle,
) {
    let Some(policy) = config.retention.policy() else {
        return;
    };
    let key = keygen::head_key(secrets).public();
    let token = lifecycle.workers.token.clone();
    let environment = Environment {
        store: Arc::clone(&store.log),
        keys: Arc::clone(&store.keys),
        database: store.pool.clone(),
        clock: Arc::clone(&store.clock),
        entropy: Arc::clone(&store.entropy),
        operator: OPERATOR.into(),
        shutdown: token.clone(),
    };
    lifecycle.workers.essential("retention", async move {
        let moving = async {
            let mut turns = tokio::time::interval(EVERY);
            loop {
                turns.tick().await;
                note(retention::run(&environment, &policy, Some(&key)).await);
            }
        };
        token.run_until_cancelled(moving).await;
        Ok(())
    });
}

fn note(outcome: Result<Moved, ReplayError>) {
    match outcome {
        Ok(Moved { segments: 0, .. }) | Err(ReplayError::Busy(_)) => {}
        Ok(Moved {
            segments,
            events,
            bytes,
            ..
        }) => {
            metrics::counter!("archived_events_total").increment(events);
            tracing::info!(
                segments,
                events,
                bytes,
                "old history has moved to the archive"
            );
        }
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "old history cannot move to the archive; the next run tries again"
        ),
    }
}
