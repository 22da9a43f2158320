//! The object store of the configuration, and the broom that goes with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::objects::{Objects, Options, Place};
use anyhow::Context as _;
use crypto::doors::DoorKey;
use events::ports::Clock;

use crate::config::Config;
use crate::lifecycle::Lifecycle;

/// How often uploads that have expired are swept away.
const SWEEP: Duration = Duration::from_mins(10);

/// Where objects are, by the configuration.
pub(crate) fn place(config: &Config) -> anyhow::Result<Place> {
    match &config.objects.url {
        None => Place::folder(Path::new("objects")).context("cannot use the folder `objects`"),
        Some(url) => Place::open(url, config.objects.direct)
            .with_context(|| format!("objects.url: cannot use {url}")),
    }
}

fn public_url(config: &Config) -> String {
    let configured = config.objects.public_url.as_deref();
    match (configured, config.server.http, config.server.https) {
        (Some(url), ..) => url.trim_end_matches('/').to_owned(),
        (None, Some(http), _) => format!("http://{http}"),
        (None, None, Some(https)) => format!("https://{https}"),
        (None, None, None) => String::new(),
    }
}

/// Opens the store and sweeps it from time to time.
pub(crate) fn start(
    config: &Config,
    key: DoorKey,
    clock: &Arc<dyn Clock>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Objects> {
    let objects = Objects::new(Options {
        place: place(config)?,
        public_url: public_url(config),
        key,
        clock: Arc::clone(clock),
        tracker: lifecycle.doors.tracker.clone(),
    });
    let (swept, token) = (objects.clone(), lifecycle.doors.token.clone());
    lifecycle.doors.essential("object sweep", async move {
        let sweeping = async {
            let mut turns = tokio::time::interval(SWEEP);
            loop {
                turns.tick().await;
                match swept.sweep().await {
                    Ok(0) => {}
                    Ok(uploads) => tracing::info!(uploads, "swept away uploads that had expired"),
                    Err(error) => tracing::warn!(%error, "cannot sweep uploads"),
                }
            }
        };
        token.run_until_cancelled(sweeping).await;
        Ok(())
    });
    Ok(objects)
}
