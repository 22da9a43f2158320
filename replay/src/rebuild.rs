//! A read model built anew beside the old one, and put in its place in one transaction.

use std::time::Duration;

use events::Position;
use events::operator::ProjectionRebuilt;
use projections::Model;
use sqlx::Connection as _;
use subscription::{Checkpoint, lock_checkpoint, parked, set_checkpoint};

use crate::bulk::Bulk;
use crate::environment::Environment;
use crate::error::ReplayError;
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
    /// How long it took.
    pub took: Duration,
    /// Positions of the log a second.
    pub rate: u64,
}

/// Rebuilds a read model from the first event on. Queries go on with the old rows until the new ones take their place;
/// the live worker goes on from where the rebuild has come.
pub async fn rebuild(environment: &Environment, model: Model) -> Result<Rebuilt, ReplayError> {
    let mut scratch = Scratch::create(&environment.database, "rebuild", model.projection()).await?;
    let work = build(environment, model, &mut scratch);
    let built = environment.shutdown.run_until_cancelled(work).await;
    let removed = scratch.remove().await;
    let rebuilt = built.unwrap_or(Err(ReplayError::Cancelled))?;
    removed?;
    let event = ProjectionRebuilt {
        model: model.name().into(),
        version: model.version(),
        events: rebuilt.events,
        through: rebuilt.through,
    };
    record(environment, event).await?;
    Ok(rebuilt)
}

async fn build(
    environment: &Environment,
    model: Model,
    scratch: &mut Scratch,
) -> Result<Rebuilt, ReplayError> {
    let parked = parked(&mut scratch.connection, model.name()).await?;
    let bulk = Bulk::new(environment.reader(), model.projection(), parked);
    let mut meter = Meter::new(format!("rebuild {model}"));
    let mut progress = Progress {
        position: Position::START,
        events: 0,
    };
    catch_up(environment, &bulk, scratch, &mut progress, &mut meter).await?;
    scratch.analyze().await?;
    for _ in 0..ATTEMPTS {
        catch_up(environment, &bulk, scratch, &mut progress, &mut meter).await?;
        if swap(&bulk, scratch, &mut progress, &mut meter).await? {
            let Progress { position, events } = progress;
            let (took, rate) = meter.finish(position);
            return Ok(Rebuilt {
                model,
                events,
                through: position,
                took,
                rate,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(ReplayError::TablesInUse(model.name()))
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
    meter: &mut Meter,
) -> Result<(), ReplayError> {
    loop {
        let head = environment.store.head().await?;
        meter.expect(head);
        if progress.position == head {
            return Ok(());
        }
        progress.events += bulk
            .fold(&mut scratch.connection, progress.position, head, meter)
            .await?;
        let folded = head.0 - progress.position.0;
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
    meter: &mut Meter,
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
