//! Reading long stretches of the log: one task reads ahead, several decode, and what they decode comes in order.

use std::collections::HashMap;
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

/// Family and stored name.
type Kind = (Family, &'static str);

/// What is needed of the log.
pub(crate) struct Needs {
    families: Vec<Family>,
    /// A kind that is not here is needed whole: an older version has no name for what a newer one wrote.
    kinds: HashMap<Kind, Need>,
}

impl Needs {
    /// All that stands in these families.
    pub(crate) fn all_of(families: &[Family]) -> Self {
        Self {
            families: families.to_vec(),
            kinds: HashMap::new(),
        }
    }

    /// What these projections need to fold; of each kind as much as the one that needs most of it.
    pub(crate) fn of(projections: &[&dyn Projection]) -> Self {
        let mut families: Vec<Family> = projections
            .iter()
            .flat_map(|it| it.families())
            .copied()
            .collect();
        families.sort_unstable();
        families.dedup();
        let mut kinds = HashMap::new();
        for family in families.iter().copied() {
            let those = || {
                projections
                    .iter()
                    .filter(|it| it.families().contains(&family))
            };
            for (_, kind) in codec::types(family) {
                let most = those().map(|it| it.needs(family, kind)).max();
                kinds.insert((family, *kind), most.unwrap_or(Need::Nothing));
            }
        }
        Self { families, kinds }
    }

    fn of_kind(&self, family: Family, kind: &str) -> Need {
        self.kinds
            .get(&(family, kind))
            .copied()
            .unwrap_or(Need::Clear)
    }

    /// The kinds that nobody needs.
    fn spare(&self) -> Vec<Kind> {
        let spare = self
            .kinds
            .iter()
            .filter(|(_, need)| **need == Need::Nothing);
        spare.map(|(kind, _)| *kind).collect()
    }
}

/// What is needed of the log after `from` up to `to`. Reading ends when nobody waits for it, and rests while the gate is
/// closed, without holding anything in the database.
pub(crate) fn read_ahead(
    reader: &Reader,
    needs: Needs,
    from: Position,
    to: Position,
    gate: Gate,
) -> Stretches {
    let needs = Arc::new(needs);
    let (raw, batches) = mpsc::channel(AHEAD);
    let (sender, stretches) = mpsc::channel(AHEAD);
    let tasks = TaskTracker::new();
    let (store, wanted) = (Arc::clone(reader.store()), Arc::clone(&needs));
    tasks.spawn(async move {
        if let Err(error) = read(&*store, &wanted, (from, to), gate, &raw).await {
            // If nobody listens, nobody needs to know.
            drop(raw.send(Err(error)).await);
        }
    });
    tasks.spawn(decode(reader.clone(), needs, batches, sender));
    stretches
}

/// A batch, and the position after which it begins.
type Raw = Result<(Position, Batch), ReadError>;

async fn read(
    store: &dyn EventStore,
    needs: &Needs,
    (mut from, to): (Position, Position),
    mut gate: Gate,
    batches: &mpsc::Sender<Raw>,
) -> Result<(), ReadError> {
    let (families, spare) = (&needs.families, needs.spare());
    while from < to {
        gate.open().await;
        let mut scan = store.scan_without(from, to, families, &spare, AT_ONCE);
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
    needs: Arc<Needs>,
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
        let (reader, needs) = (reader.clone(), Arc::clone(&needs));
        tasks.spawn(async move {
            let (after, batch) = raw?;
            let need = |family, kind: &str| needs.of_kind(family, kind);
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
