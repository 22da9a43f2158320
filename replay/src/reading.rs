//! Reading long stretches of the log: one task reads ahead, several decode, and what they decode comes in order.

use std::panic::resume_unwind;
use std::sync::Arc;

use events::{Batch, EventStore, Family, Position, ReadError};
use futures::StreamExt as _;
use futures::stream;
use subscription::{FeedError, Reader, Stretch};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::control::Gate;

/// How many events are decoded at once.
const AT_ONCE: usize = 4_000;

/// How many stretches may wait at each step.
const AHEAD: usize = 2;

/// What comes out at the end.
pub(crate) type Stretches = mpsc::Receiver<Result<Arc<Stretch>, FeedError>>;

/// The stretches of `families` after `from` up to `to`. Reading ends when nobody waits for them, and rests while the
/// gate is closed, without holding anything in the database.
pub(crate) fn read_ahead(
    reader: &Reader,
    families: Vec<Family>,
    from: Position,
    to: Position,
    gate: Gate,
) -> Stretches {
    let (raw, batches) = mpsc::channel(AHEAD);
    let (sender, stretches) = mpsc::channel(AHEAD);
    let tasks = TaskTracker::new();
    let store = Arc::clone(reader.store());
    tasks.spawn(async move {
        if let Err(error) = read(&*store, &families, (from, to), gate, &raw).await {
            // If nobody listens, nobody needs to know.
            drop(raw.send(Err(error)).await);
        }
    });
    tasks.spawn(decode(reader.clone(), batches, sender));
    stretches
}

/// A batch, and the position after which it begins.
type Raw = Result<(Position, Batch), ReadError>;

async fn read(
    store: &dyn EventStore,
    families: &[Family],
    (mut from, to): (Position, Position),
    mut gate: Gate,
    batches: &mpsc::Sender<Raw>,
) -> Result<(), ReadError> {
    while from < to {
        gate.open().await;
        let mut scan = store.scan(from, to, families, AT_ONCE);
        while let Some(batch) = scan.next().await {
            let batch = batch?;
            let through = batch.through;
            if batches.send(Ok((from, batch))).await.is_err() {
                return Ok(());
            }
            from = through;
            if gate.is_closed() {
                break;
            }
        }
    }
    Ok(())
}

async fn decode(
    reader: Reader,
    batches: mpsc::Receiver<Raw>,
    stretches: mpsc::Sender<Result<Arc<Stretch>, FeedError>>,
) {
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let tasks = TaskTracker::new();
    let raw = stream::unfold(batches, async |mut batches| {
        let raw = batches.recv().await?;
        Some((raw, batches))
    });
    let decoding = raw.map(|raw| {
        let reader = reader.clone();
        tasks.spawn(async move {
            let (after, batch) = raw?;
            reader.decode(after, &batch).await.map(Arc::new)
        })
    });
    let mut decoded = std::pin::pin!(decoding.buffered(at_once));
    while let Some(stretch) = decoded.next().await {
        let stretch = stretch.unwrap_or_else(|failed| resume_unwind(failed.into_panic()));
        if stretches.send(stretch).await.is_err() {
            return;
        }
    }
}
