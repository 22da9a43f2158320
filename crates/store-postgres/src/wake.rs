//! How followers learn that the log has grown: from the appender beside them, from other nodes' notifications, and,
//! should a notification be lost, from a slow look at the head.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use events::store::Position;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::read;

/// What the append statement notifies, with the new head as text.
pub(crate) const CHANNEL: &str = "log_appended";

/// Bounds how late a follower notices events of another node whose notification was lost.
const SAFETY_NET: Duration = Duration::from_secs(1);

/// The newest position this node has heard of.
#[derive(Debug)]
pub(crate) struct Head {
    position: watch::Sender<Position>,
    /// The backend that writes for this node. It tells of its appends by itself, when followers find them in memory.
    own: AtomicU32,
}

impl Head {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position: watch::Sender::new(position),
            own: AtomicU32::new(0),
        }
    }

    /// This backend writes for this node from now on.
    pub(crate) fn written_by(&self, backend: u32) {
        self.own.store(backend, Ordering::Relaxed);
    }

    /// The head is at `position` or further.
    pub(crate) fn reached(&self, position: Position) {
        self.position.send_if_modified(|head| {
            let grown = position > *head;
            *head = position.max(*head);
            grown
        });
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }
}

/// Starts listening to other nodes.
pub(crate) fn start(
    pool: &PgPool,
    head: &Arc<Head>,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let listening = listen(pool.clone(), head.clone());
    tracker.spawn(shutdown.clone().run_until_cancelled_owned(listening));
    let looking = look(pool.clone(), head.clone());
    tracker.spawn(shutdown.clone().run_until_cancelled_owned(looking));
}

async fn listen(pool: PgPool, head: Arc<Head>) {
    loop {
        if let Err(error) = hear(&pool, &head).await {
            tracing::warn!(%error, "lost the connection that listens for appends of other nodes");
        }
        sleep(SAFETY_NET).await;
    }
}

/// Passes notifications on until the connection is lost.
async fn hear(pool: &PgPool, head: &Head) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let notification = listener.recv().await?;
        if notification.process_id() == head.own.load(Ordering::Relaxed) {
            continue;
        }
        if let Ok(position) = notification.payload().parse() {
            head.reached(Position(position));
        }
    }
}

async fn look(pool: PgPool, head: Arc<Head>) {
    loop {
        sleep(SAFETY_NET).await;
        match read::head(&pool).await {
            Ok(position) => head.reached(position),
            Err(error) => tracing::debug!(%error, "could not look at the head of the log"),
        }
    }
}
