//! Push services, as the configuration names them, and the workers that wake devices through them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use commands::ports::PushTransport;
use events::ids::DeviceAddress;
use events::ports::Clock;
use live::{Connected, Timing};
use projections::Queries;
use reactors::push::{
    ApnsOptions, FcmOptions, Pauses, Push, Services, ServicesOptions, Waker, WakerOptions, Wakes,
    WebhookOptions,
};
use secrecy::SecretString;
use sqlx::PgPool;
use subscription::Reactor;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::config;
use crate::lifecycle::Lifecycle;
use crate::store::{Store, executor};

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Devices that left, noted in one statement.
const LEFT_AT_ONCE: usize = 500;

/// A file's contents, named by its key in the configuration.
fn secret(key: &str, file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{key}: cannot read {}", file.display()))?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// The services that the configuration names; `None` if it names none.
pub(crate) fn transport(
    config: &config::Push,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<dyn PushTransport>>> {
    let apns = config.apns.as_ref().map(|apns| {
        anyhow::Ok(ApnsOptions {
            url: apns.url.clone(),
            key: secret("push.apns.key_file", &apns.key_file)?,
            key_id: apns.key_id.clone(),
            team_id: apns.team_id.clone(),
            topic: apns.topic.clone(),
        })
    });
    let fcm = config.fcm.as_ref().map(|fcm| {
        let file = &fcm.service_account_file;
        let text = std::fs::read(file).with_context(|| {
            format!(
                "push.fcm.service_account_file: cannot read {}",
                file.display()
            )
        })?;
        let account = serde_json::from_slice(&text).with_context(|| {
            format!(
                "push.fcm.service_account_file: {} is no service account",
                file.display()
            )
        })?;
        anyhow::Ok(FcmOptions {
            url: fcm.url.clone(),
            account,
        })
    });
    let webhook = config.webhook.as_ref().map(|webhook| {
        let token = webhook.token_file.as_deref();
        anyhow::Ok(WebhookOptions {
            url: webhook.url.clone(),
            token: token
                .map(|file| secret("push.webhook.token_file", file))
                .transpose()?,
        })
    });
    let options = ServicesOptions {
        apns: apns.transpose()?,
        fcm: fcm.transpose()?,
        webhook: webhook.transpose()?,
    };
    if options.apns.is_none() && options.fcm.is_none() && options.webhook.is_none() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Services::new(options, clock)?)))
}

fn connected(database: &PgPool) -> Connected {
    Connected::new(database.clone(), Timing::default().absent)
}

/// What turns messages into pushes that are due.
pub(crate) fn reactor(database: &PgPool) -> Arc<dyn Reactor> {
    Arc::new(Push::new(
        database.clone(),
        connected(database),
        Pauses::default(),
    ))
}

/// Starts what pushes.
pub(crate) fn start_waker(
    store: &Store,
    queries: &Queries,
    transport: Arc<dyn PushTransport>,
    lifecycle: &Lifecycle,
) {
    let waker = Waker::new(WakerOptions {
        wakes: Wakes::new(store.pool.clone(), Pauses::default()),
        connected: connected(&store.pool),
        queries: queries.clone(),
        executor: executor(store),
        transport,
        every: LOOK_EVERY,
    });
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("waker", async move {
        waker.run(token).await;
        Ok(())
    });
}

/// Notes devices that left, so that they are woken should messages wait for them.
pub(crate) fn note_leaving(
    database: &PgPool,
    lifecycle: &Lifecycle,
) -> UnboundedSender<DeviceAddress> {
    let (sender, mut left) = unbounded_channel();
    let wakes = Wakes::new(database.clone(), Pauses::default());
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("leaving", async move {
        let mut devices: Vec<DeviceAddress> = Vec::new();
        loop {
            let came = left.recv_many(&mut devices, LEFT_AT_ONCE);
            if token.run_until_cancelled(came).await.is_none() {
                // The doors are closed: whoever left has been told of by now.
                left.close();
                left.recv_many(&mut devices, LEFT_AT_ONCE).await;
            }
            if devices.is_empty() {
                token.cancelled().await;
                return Ok(());
            }
            devices.sort_unstable();
            devices.dedup();
            if let Err(error) = wakes.left(&devices).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "devices that left are not noted: they are woken by their next message"
                );
            }
            devices.clear();
        }
    });
    sender
}
