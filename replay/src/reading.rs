//! Reading long stretches of the log: one task reads ahead, several decode, and what they decode comes in order.

use std::panic::resume_unwind;
use std::sync::Arc;

use events::codec;
use events::{Batch, EventStore, Family, Position, ReadError};
use futures::StreamExt as _;
use futures::stream;
use subscription::{FeedError, Need, Projection, Reader, Stretch};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::control::Gate;

/// How many events are decoded at once.
const AT_ONCE: usize = 4_000;

/// How many stretches may wait at each step.
const AHEAD: usize = 2;

/// What comes out at the end.
pub(crate) type Stretches = mpsc::Receiver<Result<Arc<Stretch>, FeedError>>;

/// What these projections need of the log after `from` up to `to`. Reading ends when nobody waits for it, and rests while
/// the gate is closed, without holding anything in the database.
pub(crate) fn read_ahead(
    reader: &Reader,
    projections: Vec<Arc<dyn Projection>>,
    from: Position,
    to: Position,
    gate: Gate,
) -> Stretches {
    let mut families: Vec<Family> = projections
        .iter()
        .flat_map(|it| it.families())
        .copied()
        .collect();
    families.sort_unstable();
    families.dedup();
    let spare = spare(&projections, &families);
    let (raw, batches) = mpsc::channel(AHEAD);
    let (sender, stretches) = mpsc::channel(AHEAD);
    let tasks = TaskTracker::new();
    let store = Arc::clone(reader.store());
    tasks.spawn(async move {
        if let Err(error) = read(&*store, (&families, &spare), (from, to), gate, &raw).await {
            // If nobody listens, nobody needs to know.
            drop(raw.send(Err(error)).await);
        }
    });
    tasks.spawn(decode(reader.clone(), projections.into(), batches, sender));
    stretches
}

/// A batch, and the position after which it begins.
type Raw = Result<(Position, Batch), ReadError>;

async fn read(
    store: &dyn EventStore,
    (families, spare): (&[Family], &[Kind]),
    (mut from, to): (Position, Position),
    mut gate: Gate,
    batches: &mpsc::Sender<Raw>,
) -> Result<(), ReadError> {
    while from < to {
        gate.open().await;
        let mut scan = store.scan_without(from, to, families, spare, AT_ONCE);
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

/// What the one needs that needs most.
fn need(projections: &[Arc<dyn Projection>], family: Family, kind: &str) -> Need {
    let those = projections
        .iter()
        .filter(|it| it.families().contains(&family));
    let most = those.map(|it| it.needs(family, kind)).max();
    most.unwrap_or(Need::Nothing)
}

/// Family and stored name.
type Kind = (Family, &'static str);

/// The kinds of events that none of them needs.
fn spare(projections: &[Arc<dyn Projection>], families: &[Family]) -> Vec<Kind> {
    let of = |family: &Family| {
        let family = *family;
        codec::types(family)
            .iter()
            .map(move |(_, kind)| (family, *kind))
    };
    let kinds = families.iter().flat_map(of);
    kinds
        .filter(|(family, kind)| need(projections, *family, kind) == Need::Nothing)
        .collect()
}

async fn decode(
    reader: Reader,
    projections: Arc<[Arc<dyn Projection>]>,
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
        let (reader, projections) = (reader.clone(), Arc::clone(&projections));
        tasks.spawn(async move {
            let (after, batch) = raw?;
            let need = |family, kind: &str| need(&projections, family, kind);
            reader.decode_for(after, &batch, &need).await.map(Arc::new)
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
