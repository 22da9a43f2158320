//! What a projection is to the loop that feeds it.

use std::time::Duration;

use async_trait::async_trait;
use events::codec::Fact;
use events::{Family, Position, StreamId};
use sqlx::PgConnection;

/// What a projection needs of events of one kind. The more, the more there is to do for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: it does not fold them.
    Nothing,
    /// What happened; none of the personal values.
    Sealed,
    /// What happened, with the personal values in clear.
    Clear,
}

/// Which share of a projection's rows a stream's events belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// Those with this number, modulo the number of shares.
    Of(u64),
    /// All of them: its events make no rows, but change or remove some anywhere.
    All,
}

/// A projection's rows in memory, as long as nothing but the log has made them.
pub trait InMemory: Send {
    /// Folds a stretch of the log that follows on the one before.
    fn fold(&mut self, facts: &[&Fact]) -> Result<(), Unfit>;

    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The rows, on their way into empty tables.
    fn copies(self: Box<Self>) -> Vec<CopyIn>;
}

/// All rows of a table in the binary form of `COPY … FROM STDIN`.
pub struct CopyIn {
    /// The table, without schema.
    pub table: &'static str,
    /// Its columns, in the order of the rows' fields.
    pub columns: &'static [&'static str],
    /// The bytes.
    pub chunks: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

/// A read model, seen from the log: a name, a version, the events it wants, and rows that change because of them.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// Its name: what its checkpoint, lease and metrics are filed under.
    fn name(&self) -> &'static str;

    /// The version of its tables, from 1.
    fn version(&self) -> u32;

    /// The families whose events it folds.
    fn families(&self) -> &'static [Family];

    /// What it needs of the events of a kind, by its stored name. If it gets more, its rows are the same; but whether an event
    /// can be read shows only to who needs it.
    fn needs(&self, _family: Family, _kind: &str) -> Need {
        Need::Clear
    }

    /// Its tables, without schema: the connection's `search_path` says which copy is meant.
    fn tables(&self) -> &'static [&'static str];

    /// Which share of the rows the events of a stream belong to: shares have no row in common, so that each can be
    /// folded by itself. By default there is but one.
    fn shard(&self, _stream: &StreamId) -> Shard {
        Shard::Of(0)
    }

    /// The least time from one stretch to the next. What comes meanwhile is written together: that costs less for each event,
    /// and what goes again within a stretch is never written at all. What comes after a pause is written at once.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    /// The rows in memory, before the first event: for a rebuild, which folds the whole log at once. `None` if the
    /// projection can only be written stretch by stretch.
    fn in_memory(&self) -> Option<Box<dyn InMemory>> {
        None
    }

    /// Folds a stretch of the log into rows, inside the transaction of `connection`.
    ///
    /// `facts` are in the order of the log and of [`Self::families`] only. The rows must be the same however the log
    /// is cut into stretches. Neither clock nor randomness nor network: time is that of the events.
    async fn apply(&self, connection: &mut PgConnection, facts: &[&Fact])
    -> Result<(), ApplyError>;
}

/// An event that a projection cannot take: its stream or its data cannot be what they say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event at position {position} cannot be projected: {what}")]
pub struct Unfit {
    /// Which event.
    pub position: Position,
    /// What is wrong with it; never a personal value.
    pub what: String,
}

/// Why a stretch of the log was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// One of the events does not fit.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Postgres refused, or is gone.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ApplyError {
    /// What is wrong with the events, if they are at fault; otherwise the error of a database that may serve them next
    /// time.
    ///
    /// Messages of Postgres name constraints; its details, which may hold values, are left out.
    pub fn refusal(self) -> Result<String, sqlx::Error> {
        let error = match self {
            Self::Unfit(unfit) => return Ok(unfit.to_string()),
            Self::Database(error) => error,
        };
        match &error {
            sqlx::Error::Database(refusal) if blames_data(refusal.code().as_deref()) => {
                Ok(refusal.message().to_owned())
            }
            sqlx::Error::Decode(what) => Ok(format!("a row cannot be read: {what}")),
            sqlx::Error::ColumnDecode { index, .. } => {
                Ok(format!("column {index} of a row cannot be read"))
            }
            _ => Err(error),
        }
    }
}

/// Classes of errors that the same statement will meet again: data (22), constraints (23), names and types that do not
/// fit the tables (42), a value too large (54). A table that is missing, or closed to this user, is for an operator to
/// provide, whatever the event.
fn blames_data(code: Option<&str>) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    match code {
        None | Some(UNDEFINED_TABLE | INSUFFICIENT_PRIVILEGE) => false,
        Some(code) => matches!(code.get(..2), Some("22" | "23" | "42" | "54")),
    }
}
