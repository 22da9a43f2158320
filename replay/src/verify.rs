//! The proof that a read model is a function of the log: built anew beside the live one, and compared row by row.

use std::time::Duration;

use events::Position;
use projections::Model;
use sqlx::{Connection as _, PgConnection};
use subscription::{Projection, parked};

use crate::bulk::{Bulk, Selection};
use crate::compare::{Comparison, Difference, compare};
use crate::control::Gate;
use crate::environment::Environment;
use crate::error::ReplayError;
use crate::meter::Meter;
use crate::scratch::{LIVE, Scratch};

/// What the comparison of a read model with the log came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which read model.
    pub model: Model,
    /// The position at which both were compared.
    pub through: Position,
    /// How many events were folded.
    pub events: u64,
    /// How many rows there have to be.
    pub rows: u64,
    /// How many rows differ.
    pub different: u64,
    /// The first of them.
    pub first: Vec<Difference>,
    /// How long it took.
    pub took: Duration,
    /// Events a second.
    pub rate: u64,
}

impl Verified {
    /// Whether the live rows are those that follow from the log.
    pub const fn is_clean(&self) -> bool {
        self.different == 0
    }
}

/// A value whose key was destroyed a moment ago is gone from the log before its row is gone from the table. Such
/// differences pass as the worker goes on; real ones stay.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// Verifies a read model. Neither queries nor the live worker are disturbed.
pub async fn verify(environment: &Environment, model: Model) -> Result<Verified, ReplayError> {
    let mut scratch =
        Scratch::create(&environment.database, "verify", model.projection(), false).await?;
    let work = check(environment, model, &mut scratch);
    let checked = environment.shutdown.run_until_cancelled(work).await;
    let removed = scratch.remove().await;
    let verified = checked.unwrap_or(Err(ReplayError::Cancelled))?;
    removed?;
    Ok(verified)
}

async fn check(
    environment: &Environment,
    model: Model,
    scratch: &mut Scratch,
) -> Result<Verified, ReplayError> {
    let parked = parked(&mut scratch.connection, model.name()).await?;
    let selection = Selection::new(model.projection(), parked);
    let bulk = Bulk::new(environment.reader(), selection, Gate::always_open());
    let mut meter = Meter::new(format!("verify {model}"), None);
    let base = checkpoint(&mut scratch.connection, &*model.projection()).await?;
    meter.expect(base);
    let events = bulk
        .fold(&mut scratch.connection, Position::START, base, &mut meter)
        .await?;
    scratch.analyze().await?;
    let mut attempt = 1;
    loop {
        let (through, tail, comparison) = compare_at_once(&bulk, scratch, base, &mut meter).await?;
        if comparison.different == 0 || attempt == ATTEMPTS {
            let (took, rate) = meter.finish();
            let Comparison {
                rows,
                different,
                first,
            } = comparison;
            return Ok(Verified {
                model,
                through,
                events: events + tail,
                rows,
                different,
                first,
                took,
                rate,
            });
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Brings the copy from `base` to where the live tables stand in one snapshot, and compares them there; tells where,
/// after how many more events, and with which outcome. The copy is at `base` again afterwards.
async fn compare_at_once(
    bulk: &Bulk,
    scratch: &mut Scratch,
    base: Position,
    meter: &mut Meter<'_>,
) -> Result<(Position, u64, Comparison), ReplayError> {
    let tables = scratch.projection.tables();
    let pairs: Vec<_> = tables
        .iter()
        .map(|table| (*table, format!("{LIVE}.{table}"), scratch.table(table)))
        .collect();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    let mut transaction = scratch.connection.begin_with(begin).await?;
    let through = checkpoint(&mut transaction, &*scratch.projection).await?;
    let events = bulk.fold(&mut transaction, base, through, meter).await?;
    let mut sum = Comparison::default();
    for (table, live, fresh) in pairs {
        let Comparison {
            rows,
            different,
            first,
        } = compare(&mut transaction, table, &live, &fresh).await?;
        sum.rows += rows;
        sum.different += different;
        sum.first.extend(first);
    }
    transaction.rollback().await?;
    Ok((through, events, sum))
}

/// Where the live tables stand, as the connection sees them.
async fn checkpoint(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<Position, sqlx::Error> {
    Ok(subscription::read_checkpoint(connection, projection)
        .await?
        .0)
}
