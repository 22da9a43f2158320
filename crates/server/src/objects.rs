//! The object store of the configuration, and the broom that goes with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::objects::{Objects, Options, Place};
use anyhow::Context as _;
use api::ports::{ObjectKey, ObjectUploads};
use async_trait::async_trait;
use crypto::doors::DoorKey;
use events::ports::Clock;
use events::values::profile::AvatarKey;
use reactors::pictures::{NotRemoved, PictureStore};

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::listeners::Listeners;

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

/// How clients reach this server, unless the operator says so: at the first of its listeners.
fn public_url(config: &Config, listeners: &Listeners) -> String {
    let configured = config.objects.public_url.as_deref();
    match (configured, listeners.http(), listeners.https()) {
        (Some(url), ..) => url.trim_end_matches('/').to_owned(),
        (None, Some(http), _) => format!("http://{http}"),
        (None, None, Some(https)) => format!("https://{https}"),
        (None, None, None) => String::new(),
    }
}

/// Opens the store.
pub(crate) fn open(
    config: &Config,
    listeners: &Listeners,
    key: DoorKey,
    clock: &Arc<dyn Clock>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Objects> {
    Ok(Objects::new(Options {
        place: place(config)?,
        public_url: public_url(config, listeners),
        key,
        clock: Arc::clone(clock),
        tracker: lifecycle.doors.tracker.clone(),
    }))
}

/// Pictures of profiles, among all objects.
struct Avatars(Objects);

/// Where the reactor finds pictures.
pub(crate) fn pictures(objects: &Objects) -> Arc<dyn PictureStore> {
    Arc::new(Avatars(objects.clone()))
}

#[async_trait]
impl PictureStore for Avatars {
    async fn remove(&self, key: AvatarKey) -> Result<(), NotRemoved> {
        let key = key.to_string().parse();
        let key: ObjectKey = key.expect("pictures are objects, and their keys have the same form");
        let removed = ObjectUploads::remove(&self.0, &key).await;
        removed.map_err(|error| NotRemoved(error.into()))
    }
}

/// Sweeps the store from time to time.
pub(crate) fn start_sweep(objects: &Objects, lifecycle: &Lifecycle) {
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
}
