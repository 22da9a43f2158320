//! Read models built anew beside the old ones, and put in their place in one transaction each.

use std::time::{Duration, Instant};

use events::Position;
use events::operator::ProjectionRebuilt;
use projections::Model;
use sqlx::Connection as _;
use subscription::{Checkpoint, lock_checkpoint, parked, set_checkpoint};

use crate::bulk::{Bulk, Selection};
use crate::control::Control;
use crate::environment::Environment;
use crate::error::ReplayError;
use crate::fill::{Filling, fill};
use crate::meter::Meter;
use crate::operator::record;
use crate::scratch::{Scratch, run};

/// This close to the log's end, the rest is folded while the live worker waits.
const NEAR: u64 = 2_000;

/// The swap waits this long for queries on the live tables; those that come meanwhile wait behind it.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1s'";

/// So often is the swap tried, and so long after each failure is nobody kept waiting.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);

/// Postgres: what a statement that waited too long for a lock ends with.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A read model that was rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Which.
    pub model: Model,
    /// How many events went into it.
    pub events: u64,
    /// How far it had read when it took over.
    pub through: Position,
    /// How long it took, from the first event of the command's pass over the log to the swap.
    pub took: Duration,
    /// Events a second.
    pub rate: u64,
}

/// What a rebuild may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many rows of a read model are kept in memory at the most; the events that follow are written one stretch after
    /// the other. Rows take 200 to 500 bytes each.
    pub rows_in_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows_in_memory: 4_000_000,
        }
    }
}

/// Rebuilds a read model from the first event on. Queries go on with the old rows until the new ones take their place;
/// the live worker goes on from where the rebuild has come.
pub async fn rebuild(environment: &Environment, model: Model) -> Result<Rebuilt, ReplayError> {
    let mut rebuilt = rebuild_all(environment, &[model], Limits::default()).await?;
    rebuilt.pop().expect("each model has an outcome")
}

/// Rebuilds several read models from one pass over the log, which is read and decoded once; tells what became of each.
/// They are paused and cancelled as one.
pub async fn rebuild_all(
    environment: &Environment,
    models: &[Model],
    limits: Limits,
) -> Result<Vec<Result<Rebuilt, ReplayError>>, ReplayError> {
    let mut scratches = Vec::with_capacity(models.len());
    let worked = work(environment, models, limits, &mut scratches).await;
    let mut removed = Ok(());
    for scratch in scratches {
        removed = removed.and(scratch.remove().await);
    }
    let outcomes = worked?;
    removed?;
    for rebuilt in outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()) {
        let event = ProjectionRebuilt {
            model: rebuilt.model.name().into(),
            version: rebuilt.model.version(),
            events: rebuilt.events,
            through: rebuilt.through,
        };
        record(environment, event).await?;
    }
    Ok(outcomes)
}

/// Makes the copies and does the work, unless it is cancelled. The copies are the caller's to remove.
async fn work(
    environment: &Environment,
    models: &[Model],
    limits: Limits,
    scratches: &mut Vec<Scratch>,
) -> Result<Vec<Result<Rebuilt, ReplayError>>, ReplayError> {
    for model in models {
        let projection = model.projection();
        let bare = projection.in_memory().is_some();
        scratches.push(Scratch::create(&environment.database, "rebuild", projection, bare).await?);
    }
    let names = models.iter().map(|model| model.name().to_owned()).collect();
    let control = Control::new(environment, names);
    control.begin().await?;
    let building = tokio::select! {
        built = build(environment, models, limits, scratches, &control) => built,
        () = environment.shutdown.cancelled() => Err(ReplayError::Cancelled),
        () = control.cancelled() => Err(ReplayError::Cancelled),
        () = control.attend() => unreachable!("it attends as long as it is let"),
    };
    let ended = control.end().await;
    let outcomes = building?;
    ended?;
    Ok(outcomes)
}

async fn build(
    environment: &Environment,
    models: &[Model],
    limits: Limits,
    scratches: &mut [Scratch],
    control: &Control,
) -> Result<Vec<Result<Rebuilt, ReplayError>>, ReplayError> {
    let begun = Instant::now();
    let names: Vec<_> = models.iter().map(|model| model.name()).collect();
    let label = if names.len() > 3 {
        format!("{} models", names.len())
    } else {
        names.join(", ")
    };
    let mut meter = Meter::new(format!("rebuild {label}"), Some(control));
    let head = environment.store.head().await?;
    meter.expect(head);
    let (mut selections, mut fillings) = (Vec::new(), Vec::new());
    for scratch in &mut *scratches {
        let parked = parked(&mut scratch.connection, scratch.projection.name()).await?;
        let selection = Selection::new(scratch.projection.clone(), parked);
        fillings.push(Filling::begin(scratch, &selection, limits.rows_in_memory).await?);
        selections.push(selection);
    }
    fill(
        &environment.reader(),
        &mut fillings,
        head,
        control,
        &mut meter,
    )
    .await?;
    let mut outcomes = Vec::with_capacity(models.len());
    let each = models.iter().zip(scratches).zip(selections).zip(fillings);
    for (((model, scratch), selection), filling) in each {
        let finished = finish(
            environment,
            scratch,
            selection,
            filling,
            (control, &mut meter),
        );
        outcomes.push(finished.await.map(|Progress { position, events }| {
            let took = begun.elapsed();
            Rebuilt {
                model: *model,
                events,
                through: position,
                took,
                rate: rate(events, took),
            }
        }));
    }
    meter.finish();
    Ok(outcomes)
}

/// Events a second.
pub(crate) fn rate(events: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    events.saturating_mul(1_000) / millis.max(1)
}

/// Brings a copy that was filled to the end of the log, and puts it in the live one's place.
async fn finish(
    environment: &Environment,
    scratch: &mut Scratch,
    selection: Selection,
    filling: Filling,
    (control, meter): (&Control, &mut Meter<'_>),
) -> Result<Progress, ReplayError> {
    let (position, events) = filling.finish(scratch).await?;
    let mut progress = Progress { position, events };
    let bulk = Bulk::new(environment.reader(), selection, control.gate());
    for _ in 0..ATTEMPTS {
        control.gate().open().await;
        catch_up(environment, &bulk, scratch, &mut progress, meter).await?;
        if swap(&bulk, scratch, &mut progress, meter).await? {
            return Ok(progress);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(ReplayError::TablesInUse(scratch.projection.name()))
}

/// How far the copy is.
#[derive(Clone, Copy)]
struct Progress {
    position: Position,
    events: u64,
}

/// Folds until the end of the log is near.
async fn catch_up(
    environment: &Environment,
    bulk: &Bulk,
    scratch: &mut Scratch,
    progress: &mut Progress,
    meter: &mut Meter<'_>,
) -> Result<(), ReplayError> {
    loop {
        let head = environment.store.head().await?;
        meter.expect(head);
        if progress.position >= head {
            return Ok(());
        }
        let folded = bulk
            .fold(&mut scratch.connection, progress.position, head, meter)
            .await?;
        progress.events += folded;
        progress.position = head;
        if folded <= NEAR {
            return Ok(());
        }
    }
}

/// Folds the rest while the live worker waits, and swaps; tells whether the tables could be had.
async fn swap(
    bulk: &Bulk,
    scratch: &mut Scratch,
    progress: &mut Progress,
    meter: &mut Meter<'_>,
) -> Result<bool, ReplayError> {
    let statements = scratch.swap_statements();
    let mut transaction = scratch.connection.begin().await?;
    let projection = &*scratch.projection;
    let Checkpoint(live) = lock_checkpoint(&mut transaction, projection).await?;
    let mut after = *progress;
    if live > after.position {
        after.events += bulk
            .fold(&mut transaction, after.position, live, meter)
            .await?;
        after.position = live;
    }
    set_checkpoint(&mut transaction, projection, Checkpoint(after.position)).await?;
    sqlx::query(PATIENCE).execute(&mut *transaction).await?;
    match run(&mut transaction, &statements).await {
        Ok(()) => {
            transaction.commit().await?;
            *progress = after;
            Ok(true)
        }
        Err(sqlx::Error::Database(error))
            if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
        {
            transaction.rollback().await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
