//! Messages that nobody fetches do not wait for ever: after the retention time a worker records that they have expired. From
//! then on nobody delivers them, and erasure follows.

use std::sync::Arc;
use std::time::Duration;

use commands::command::NeverRefused;
use commands::message::expire::ExpireMessages;
use commands::{Executor, Failure};
use events::Actor;
use events::ports::Clock;
use locks::{Lock, Task};
use projections::{Model, Queries, QueryError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Messages that are looked at together.
const PAGE: u32 = 1_000;

/// How long the inbox may take to show what was recorded. Past that the next round goes on.
const CATCH_UP: Duration = Duration::from_secs(30);

/// What expiry needs.
pub struct ExpiryOptions {
    /// Records what has expired.
    pub executor: Arc<Executor>,
    /// Tells what waits.
    pub queries: Queries,
    /// Tells for how long.
    pub clock: Arc<dyn Clock>,
    /// Holds the lock that lets one node at a time look.
    pub database: PgPool,
    /// How long messages wait.
    pub retention: Duration,
    /// Between two looks.
    pub every: Duration,
}

/// Looks for expired messages now and then.
pub struct Expiry(ExpiryOptions);

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
pub enum NotExpired {
    /// The inboxes cannot be read.
    #[error(transparent)]
    Inbox(#[from] QueryError),
    /// It cannot be recorded.
    #[error("it cannot be recorded")]
    NotRecorded(#[from] Failure<NeverRefused>),
    /// The lock cannot be asked for.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Expiry {
    /// A worker that is not running yet.
    pub const fn new(options: ExpiryOptions) -> Self {
        Self(options)
    }

    /// Looks now and then until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let looking = async {
            loop {
                match self.once_over_all_nodes().await {
                    Ok(None | Some(0)) => {}
                    Ok(Some(messages)) => tracing::info!(messages, "messages have expired"),
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "expired messages cannot be taken away; the next look tries again"
                    ),
                }
                tokio::time::sleep(self.0.every).await;
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    /// Looks, unless another node does; tells how many messages have expired.
    async fn once_over_all_nodes(&self) -> Result<Option<u64>, NotExpired> {
        let Some(lock) = Lock::try_take(&self.0.database, Task::Expiry).await? else {
            return Ok(None);
        };
        let expired = self.once().await;
        lock.give_back().await;
        expired.map(Some)
    }

    /// Takes away all that waits for too long; tells how many messages that were.
    pub async fn once(&self) -> Result<u64, NotExpired> {
        let ExpiryOptions {
            executor,
            queries,
            clock,
            retention,
            ..
        } = &self.0;
        let mut expired = 0;
        loop {
            let moment = clock.now().minus(*retention);
            let found = queries.inbox().accepted_before(moment, PAGE).await?;
            let mut last = None;
            for (mailbox, guids) in found {
                expired += guids.len() as u64;
                let command = ExpireMessages { mailbox, guids };
                // No causation: time has passed, and that is no event. The event names the messages whose time it was.
                let context = executor.request_by(Actor::System("expiry".into()));
                last = executor
                    .execute(&command, &context)
                    .await?
                    .position
                    .max(last);
            }
            // Whoever looks again before the inbox shows it would record it again.
            match last {
                Some(position) if queries.caught_up(&[Model::Inbox], position, CATCH_UP).await => {}
                _ => return Ok(expired),
            }
        }
    }
}
