//! One pass over the log that fills the copies of several read models: read and decoded once, folded side by side.
//!
//! A read model that can be kept in memory is folded there, in shares that have no row in common, one a core; its rows
//! are copied into the empty tables in the end, and indexes come after that. The others are written as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use events::Position;
use events::codec::Fact;
use futures::future::{join_all, try_join_all};
use sqlx::PgConnection;
use subscription::{CopyIn, InMemory, Projection, Reader, Stretch};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::bulk::{AT_ONCE, Selection};
use crate::control::Control;
use crate::error::ReplayError;
use crate::meter::Meter;
use crate::reading::{Needs, read_ahead};
use crate::scratch::Scratch;

/// How many stretches may wait for a fold.
const AHEAD: usize = 3;

/// A copy that is being filled.
pub(crate) struct Filling {
    projection: Arc<dyn Projection>,
    /// One for each share, as long as they are to get more.
    senders: Vec<mpsc::Sender<Arc<Stretch>>>,
    shares: Vec<JoinHandle<Result<Filled, ReplayError>>>,
    /// How many rows the shares keep.
    kept: Arc<AtomicUsize>,
    rows_at_most: usize,
    through: Position,
}

/// A share at its end.
struct Filled {
    /// How many events were folded.
    events: u64,
    /// The rows that are to be copied.
    rows: Option<Box<dyn InMemory>>,
}

impl Filling {
    /// Begins to fill the copy; keeps at the most so many rows in memory.
    pub(crate) async fn begin(
        scratch: &Scratch,
        selection: &Selection,
        rows_at_most: usize,
    ) -> Result<Self, ReplayError> {
        let tasks = TaskTracker::new();
        let kept = Arc::new(AtomicUsize::new(0));
        let mut filling = Self {
            projection: Arc::clone(&scratch.projection),
            senders: Vec::new(),
            shares: Vec::new(),
            kept: Arc::clone(&kept),
            rows_at_most,
            through: Position::START,
        };
        let shares = if scratch.is_bare() { cores() } else { 1 };
        for share in 0..shares {
            let (sender, stretches) = mpsc::channel(AHEAD);
            let selection = selection.share(share, shares);
            let handle = match scratch.projection.in_memory() {
                Some(rows) if scratch.is_bare() => {
                    let kept = Arc::clone(&kept);
                    tasks.spawn(keep(rows, selection, stretches, kept))
                }
                _ => tasks.spawn(write(scratch.connect().await?, selection, stretches)),
            };
            filling.senders.push(sender);
            filling.shares.push(handle);
        }
        Ok(filling)
    }

    /// Hands a stretch to every share. Once there are too many rows to keep, they get no more: what is missing is
    /// written later.
    async fn take(&mut self, stretch: &Arc<Stretch>) {
        if self.kept.load(Ordering::Relaxed) > self.rows_at_most {
            self.senders.clear();
        }
        if self.senders.is_empty() {
            return;
        }
        // One that is gone has failed, and tells why in the end.
        join_all(
            self.senders
                .iter()
                .map(|sender| sender.send(Arc::clone(stretch))),
        )
        .await;
        self.through = stretch.through;
    }

    /// Waits for the shares, and brings what they kept into the tables; tells how far the copy is, and how many events
    /// went into it.
    pub(crate) async fn finish(
        mut self,
        scratch: &mut Scratch,
    ) -> Result<(Position, u64), ReplayError> {
        self.senders.clear();
        let (mut events, mut copies) = (0, Vec::new());
        for share in self.shares {
            let model = scratch.projection.name();
            let filled = share.await.map_err(|_| ReplayError::Panicked(model))??;
            events += filled.events;
            copies.extend(filled.rows.into_iter().flat_map(InMemory::copies));
        }
        if scratch.is_bare() {
            let shared: &Scratch = scratch;
            let copying = copies.into_iter().map(|copy| copy_in(shared, copy));
            try_join_all(copying).await?;
            scratch.add_indexes().await?;
        }
        scratch.analyze().await?;
        Ok((self.through, events))
    }
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().min(8) as u64)
}

/// Fills copies from the log up to `to`.
pub(crate) async fn fill(
    reader: &Reader,
    fillings: &mut [Filling],
    to: Position,
    control: &Control,
    meter: &mut Meter<'_>,
) -> Result<(), ReplayError> {
    let projections: Vec<_> = fillings.iter().map(|it| &*it.projection).collect();
    let needs = Needs::of(&projections);
    let mut stretches = read_ahead(reader, needs, Position::START, to, control.gate());
    while let Some(stretch) = stretches.recv().await {
        let stretch = stretch?;
        for filling in &mut *fillings {
            filling.take(&stretch).await;
        }
        meter.reached(stretch.through, stretch.facts.len() as u64);
    }
    Ok(())
}

/// Keeps a share in memory.
async fn keep(
    mut rows: Box<dyn InMemory>,
    selection: Selection,
    mut stretches: mpsc::Receiver<Arc<Stretch>>,
    kept: Arc<AtomicUsize>,
) -> Result<Filled, ReplayError> {
    let mut filled = Filled {
        events: 0,
        rows: None,
    };
    let mut before = 0;
    while let Some(stretch) = stretches.recv().await {
        let facts: Vec<&Fact> = selection
            .of(&stretch, stretch.through)?
            .map(AsRef::as_ref)
            .collect();
        filled.events += selection.counted(&facts);
        rows.fold(&facts)
            .map_err(|unfit| selection.refused(unfit.position, unfit.what))?;
        let now = rows.rows();
        kept.fetch_add(now, Ordering::Relaxed);
        kept.fetch_sub(before, Ordering::Relaxed);
        before = now;
    }
    filled.rows = Some(rows);
    Ok(filled)
}

/// Writes events into the tables as they come.
async fn write(
    mut connection: PgConnection,
    selection: Selection,
    mut stretches: mpsc::Receiver<Arc<Stretch>>,
) -> Result<Filled, ReplayError> {
    let mut waiting: Vec<Arc<Fact>> = Vec::new();
    let mut events = 0;
    while let Some(stretch) = stretches.recv().await {
        let before = waiting.len();
        waiting.extend(selection.of(&stretch, stretch.through)?.cloned());
        events += (waiting.len() - before) as u64;
        if waiting.len() >= AT_ONCE {
            selection.apply_all(&mut connection, &mut waiting).await?;
        }
    }
    selection.apply_all(&mut connection, &mut waiting).await?;
    Ok(Filled { events, rows: None })
}

async fn copy_in(scratch: &Scratch, copy: CopyIn) -> Result<(), ReplayError> {
    let statement = format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        scratch.table(copy.table),
        copy.columns.join(", ")
    );
    let mut connection = scratch.connect().await?;
    // A task of its own: what is encoded here is encoded beside the other shares.
    let copying = TaskTracker::new().spawn(async move {
        let mut into = connection.copy_in_raw(&statement).await?;
        for chunk in copy.chunks {
            into.send(chunk).await?;
        }
        into.finish().await
    });
    let model = scratch.projection.name();
    copying.await.map_err(|_| ReplayError::Panicked(model))??;
    Ok(())
}
