//! Takes what is due and pushes it.

use std::sync::Arc;
use std::time::Duration;

use commands::account::drop_push_token::DropPushToken;
use commands::ports::{Notification, PushFailed, PushTransport};
use commands::{Executor, RequestContext};
use events::Actor;
use events::account::PushToken;
use events::ids::DeviceAddress;
use events::values::Redacted;
use futures::StreamExt as _;
use live::Connected;
use metrics::counter;
use projections::{Model, Queries, QueryError};
use tokio_util::sync::CancellationToken;

use super::wakes::{DueWake, Wakes};

/// Devices that are taken at a time.
const AT_ONCE: i64 = 200;

/// Pushes under way at a time.
const UNDER_WAY: usize = 32;

/// How long the read models may take to show why a device is due.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// What the waker needs.
pub struct WakerOptions {
    /// What is due.
    pub wakes: Wakes,
    /// Who is connected.
    pub connected: Connected,
    /// Which devices there are, and what waits for them.
    pub queries: Queries,
    /// Takes tokens off devices.
    pub executor: Arc<Executor>,
    /// Carries pushes.
    pub transport: Arc<dyn PushTransport>,
    /// Between two looks at what is due.
    pub every: Duration,
}

/// Pushes what is due. May run on every node: each device is taken by one of them.
pub struct Waker(WakerOptions);

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
enum NotWoken {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    ReadModel(#[from] QueryError),
}

impl Waker {
    /// A waker that is not running yet.
    pub const fn new(options: WakerOptions) -> Self {
        Self(options)
    }

    /// Works until `shutdown`; pushes that are under way then are finished.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let full = match self.look().await {
                Ok(taken) => i64::try_from(taken).is_ok_and(|taken| taken == AT_ONCE),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "devices cannot be woken; trying again"
                    );
                    false
                }
            };
            if !full {
                let pause = tokio::time::sleep(self.0.every);
                shutdown.run_until_cancelled(pause).await;
            }
        }
    }

    /// Takes some of what is due and sees to it; tells how much it was.
    async fn look(&self) -> Result<usize, NotWoken> {
        let due = self.0.wakes.take(AT_ONCE).await?;
        let taken = due.len();
        if taken == 0 {
            return Ok(0);
        }
        if !self.is_shown().await? {
            for wake in &due {
                self.0.wakes.again(wake, None).await?;
            }
            return Ok(0);
        }
        let addresses: Vec<_> = due.iter().map(|wake| wake.address).collect();
        let connected = self.0.connected.among(&addresses).await?;
        // Whoever is connected gets what waits, and is noted again should it leave before.
        let (here, away): (Vec<_>, Vec<_>) = due
            .into_iter()
            .partition(|wake| connected.contains(&wake.address));
        let here: Vec<_> = here.iter().map(|wake| wake.address).collect();
        self.0.wakes.forget(&here).await?;
        let outcomes: Vec<_> = futures::stream::iter(away)
            .map(|wake| async move { self.wake(&wake).await })
            .buffer_unordered(UNDER_WAY)
            .collect()
            .await;
        outcomes.into_iter().collect::<Result<(), _>>()?;
        Ok(taken)
    }

    /// Whether the read models show everything up to now: a device must not pass for one that nothing waits for, because the
    /// inbox is behind what made it due.
    async fn is_shown(&self) -> Result<bool, NotWoken> {
        let head = self.0.queries.head().await?;
        let models = [Model::Inbox, Model::Devices];
        Ok(self.0.queries.caught_up(&models, head, SHOWN_WITHIN).await)
    }

    async fn wake(&self, wake: &DueWake) -> Result<(), NotWoken> {
        let Some(token) = self.token(wake.address).await? else {
            return Ok(self.0.wakes.forget(&[wake.address]).await?);
        };
        let notification = Notification::Messages {
            urgent: wake.urgent,
        };
        let outcome = self.0.transport.push(&token, &notification).await;
        let name = match &outcome {
            Ok(()) => "pushed",
            Err(PushFailed::InvalidToken) => "invalid_token",
            Err(PushFailed::Later(_)) => "later",
            Err(PushFailed::Refused(_)) => "refused",
        };
        counter!("pushes_total", "outcome" => name).increment(1);
        match outcome {
            Ok(()) => self.0.wakes.pushed(wake).await?,
            Err(PushFailed::InvalidToken) => {
                if self.drop_token(wake, token).await {
                    self.0.wakes.forget(&[wake.address]).await?;
                }
            }
            Err(PushFailed::Later(asked)) => self.0.wakes.again(wake, asked).await?,
            Err(PushFailed::Refused(why)) => {
                tracing::warn!(why, "a push was refused, and would be again");
                self.0.wakes.forget(&[wake.address]).await?;
            }
        }
        Ok(())
    }

    /// How to wake the device, if anything waits for it and it wants to be woken.
    async fn token(&self, address: DeviceAddress) -> Result<Option<PushToken>, NotWoken> {
        if !self.0.queries.inbox().has_any(address).await? {
            return Ok(None);
        }
        let device = self
            .0
            .queries
            .devices()
            .one(address.aci, address.device)
            .await?;
        Ok(device
            .filter(|device| device.address() == address)
            .and_then(|device| device.push)
            .map(|Redacted(token)| token))
    }

    /// Takes the token off the device; tells whether it is off. If not, the service will say the same the next time.
    async fn drop_token(&self, wake: &DueWake, token: PushToken) -> bool {
        let command = DropPushToken {
            device: wake.address,
            token: Redacted(token),
        };
        let context = RequestContext {
            causation: wake.cause.map(|cause| cause.event),
            correlation: wake.cause.map(|cause| cause.chain),
            ..self.0.executor.request_by(Actor::System("push".into()))
        };
        match self.0.executor.execute(&command, &context).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a token that its service does not know cannot be taken off its device"
                );
                false
            }
        }
    }
}
