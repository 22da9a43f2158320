//! Retention: old history of mailboxes moves to an object store, and stays part of the log.

pub mod cli;

mod bounds;
mod moving;

use std::time::Duration;

use archive::Archive;
use events::operator::HistoryArchived;
use events::{EventId, Position};
use locks::{Lock, Task};
use sqlx::PgConnection;
use tree::PublicKey;

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::operator::record_once;

pub use bounds::Bounds;

/// What is to move where.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The address of the object store.
    pub place: String,
    /// How old events must be.
    pub horizon: Duration,
}

/// What a run has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many objects were written.
    pub segments: u64,
    /// How many events are in them.
    pub events: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Objects of earlier runs that were killed, which are removed now.
    pub cleared: u64,
}

/// Moves what may move. One process at a time; whoever comes second is told so. With a key, heads must be signed by it.
pub async fn run(
    environment: &Environment,
    policy: &Policy,
    key: Option<&PublicKey>,
) -> Result<Moved, ReplayError> {
    let until = Until::Older(policy.horizon);
    run_until(environment, &policy.place, until, key).await
}

/// Moves what stands up to `end`, wherever that is: also what somebody still waits for.
pub async fn move_through(
    environment: &Environment,
    place: &str,
    end: Position,
    key: Option<&PublicKey>,
) -> Result<Moved, ReplayError> {
    run_until(environment, place, Until::Position(end), key).await
}

/// What moves.
#[derive(Clone, Copy)]
enum Until {
    /// What is older, and in no inbox.
    Older(Duration),
    /// What stands up to here.
    Position(Position),
}

async fn run_until(
    environment: &Environment,
    place: &str,
    until: Until,
    key: Option<&PublicKey>,
) -> Result<Moved, ReplayError> {
    if !environment.store.reads_archive() {
        return Err(ReplayError::NoArchive);
    }
    archive::check_place(place).map_err(archive::NotKept::from)?;
    let Some(mut lock) = Lock::try_take(&environment.database, Task::Retention).await? else {
        return Err(ReplayError::Busy("retention".to_owned()));
    };
    let moved = move_segments(environment, lock.connection(), place, until, key).await;
    lock.give_back().await;
    moved
}

async fn move_segments(
    environment: &Environment,
    connection: &mut PgConnection,
    place: &str,
    until: Until,
    key: Option<&PublicKey>,
) -> Result<Moved, ReplayError> {
    let mut moved = Moved {
        cleared: archive::clear_away(&mut *connection).await?,
        ..Moved::default()
    };
    tell(environment, connection).await?;
    let end = match until {
        Until::Older(horizon) => Bounds::now(environment, horizon).await?.end(),
        Until::Position(end) => end,
    };
    let mut after = last_moved(connection).await?;
    while let Some(segment) = moving::next(environment, after, end, key).await? {
        if environment.shutdown.is_cancelled() {
            break;
        }
        let at = environment.clock.now();
        let entry = archive::keep(&mut *connection, place, &segment, at).await?;
        after = entry.through;
        moved.segments += 1;
        moved.events += entry.events;
        moved.bytes += entry.bytes;
        tell(environment, connection).await?;
    }
    Ok(moved)
}

/// Where the last segment ends.
async fn last_moved(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let through: Option<i64> = sqlx::query_scalar("SELECT max(through) FROM log.segments")
        .fetch_one(connection)
        .await?;
    Ok(through.map_or(Position::START, Position::from_i64))
}

/// Records what has moved, also if whoever moved it was killed before: the event's id follows from the object, so it is
/// recorded once.
async fn tell(environment: &Environment, connection: &mut PgConnection) -> Result<(), ReplayError> {
    for entry in archive::untold(&mut *connection).await? {
        let id = EventId::from_random(*entry.digest.first_chunk().expect("32 bytes begin with 16"));
        let event = HistoryArchived {
            after: entry.after,
            through: entry.through,
            events: entry.events,
            place: entry.place.as_str().into(),
            name: entry.name.as_str().into(),
            digest: entry.digest_text().into(),
        };
        record_once(environment, id, event).await?;
        archive::mark_told(&mut *connection, &entry).await?;
    }
    Ok(())
}

/// What is in the archive, and what keeps the rest in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The segments, in order.
    pub segments: Vec<archive::Entry>,
    /// Mailboxes' events that stand in the database.
    pub in_database: u64,
    /// How far events may move.
    pub bounds: Bounds,
}

/// Where retention stands, for a horizon.
pub async fn status(environment: &Environment, horizon: Duration) -> Result<Status, ReplayError> {
    if !environment.store.reads_archive() {
        return Err(ReplayError::NoArchive);
    }
    let families: Vec<i16> = archive::MOVES.iter().map(|family| family.code()).collect();
    let in_database: i64 =
        sqlx::query_scalar("SELECT count(*) FROM log.events WHERE family = ANY($1)")
            .bind(families)
            .fetch_one(&environment.database)
            .await?;
    Ok(Status {
        segments: archive::entries(&environment.database, Position::START).await?,
        in_database: in_database.unsigned_abs(),
        bounds: Bounds::now(environment, horizon).await?,
    })
}

/// What is wrong with the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many segments were looked at.
    pub segments: u64,
    /// How many events they have.
    pub events: u64,
    /// What is wrong, one sentence each.
    pub complaints: Vec<String>,
}

/// Fetches every object, and checks digest, positions, and that its range stands in the tree that was signed.
pub async fn check(environment: &Environment, key: &PublicKey) -> Result<Checked, ReplayError> {
    let archive = Archive::new(environment.database.clone());
    let mut checked = Checked::default();
    for entry in archive::entries(&environment.database, Position::START).await? {
        if environment.shutdown.is_cancelled() {
            return Err(ReplayError::Cancelled);
        }
        checked.segments += 1;
        checked.events += entry.events;
        let complaint = match archive.fetch(&entry).await {
            Ok(segment) => segment.verify(key).err(),
            Err(events::ReadError::Damaged { what, .. }) => Some(what),
            Err(error) => return Err(error.into()),
        };
        if let Some(what) = complaint {
            checked.complaints.push(format!(
                "positions {} to {}: {what}",
                entry.after.0 + 1,
                entry.through
            ));
        }
    }
    Ok(checked)
}
