#![doc = include_str!("../README.md")]

mod answer;
mod download;
mod forms;
mod place;
mod policy;
mod post;
mod staging;
mod token;
mod tus;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crypto::doors::DoorKey;
use events::ports::Clock;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use place::{Place, PlaceInvalid};

use policy::PolicySigner;

/// How long a browser's form is good for.
const FORM_LIFETIME: Duration = Duration::from_mins(30);

/// How long a resumable upload may take from its form to its last byte.
const UPLOAD_LIFETIME: Duration = Duration::from_hours(25);

/// How long a link to a download in the operator's bucket is good for.
const LINK_LIFETIME: Duration = Duration::from_hours(1);

/// How long an upload may bring nothing before it counts as interrupted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an upload that are held in memory before they go to the store.
const PIECE: usize = 4 * 1024 * 1024;

/// Uploads that are read at the same time; further ones wait. With [`PIECE`] this bounds the memory.
const UPLOADS: usize = 32;

/// What the object store is made of.
pub struct Options {
    /// Where the bytes are.
    pub place: Place,
    /// How clients reach this server, without a slash at the end: the beginning of every address in a form.
    pub public_url: String,
    /// Signs forms.
    pub key: DoorKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Waits for uploads whose client has gone, so that what came is kept.
    pub tracker: TaskTracker,
}

/// Forms, uploads and downloads. Clones share everything.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    place: Place,
    public_url: String,
    key: DoorKey,
    policies: PolicySigner,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    uploads: Arc<Semaphore>,
    /// Uploads that somebody is writing to on this node.
    busy: Mutex<HashSet<Path>>,
}

impl Objects {
    /// Opens the store.
    pub fn new(options: Options) -> Self {
        let secret = options.key.tag("post policy", &[]);
        let policies = PolicySigner {
            bucket: "heliograph".to_owned(),
            region: "local".to_owned(),
            access_key: "heliograph".to_owned(),
            secret: hex::encode(secret),
            session_token: None,
        };
        Self(Arc::new(Inner {
            place: options.place,
            public_url: options.public_url,
            key: options.key,
            policies,
            clock: options.clock,
            tracker: options.tracker,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            busy: Mutex::default(),
        }))
    }

    /// The doors for uploads and downloads.
    pub fn router(&self) -> axum::Router {
        tus::routes()
            .merge(post::routes())
            .merge(download::routes())
            .with_state(self.clone())
    }

    fn store(&self) -> &Arc<dyn ObjectStore> {
        self.0.place.store()
    }

    fn now(&self) -> events::Timestamp {
        self.0.clock.now()
    }
}
