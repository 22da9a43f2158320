//! The rows in which projections keep how far they are, how they fare, and what they pass over.

use std::borrow::Cow;
use std::collections::BTreeSet;

use events::Position;
use locks::Task;
use sqlx::{PgConnection, PgPool, Row as _};

use crate::projection::Projection;

/// Who follows the log: the name and the version under which a projection or a reactor stands in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Its name.
    pub name: Cow<'static, str>,
    /// The version of its tables; of a reactor, which has none, 1.
    pub version: u32,
}

impl Follower {
    /// The lock that lets one process at a time follow.
    pub(crate) fn lease(&self) -> Task<'_> {
        Task::Follow {
            name: &self.name,
            version: self.version,
        }
    }

    /// The version as Postgres keeps it.
    pub(crate) fn stored_version(&self) -> i32 {
        i32::try_from(self.version).expect("versions are counted by hand")
    }
}

impl From<&dyn Projection> for Follower {
    fn from(projection: &dyn Projection) -> Self {
        Self {
            name: projection.name().into(),
            version: projection.version(),
        }
    }
}

/// The reactors that have ever run on this database. Nobody has to know which there are.
pub async fn reactors(pool: &PgPool) -> Result<Vec<Follower>, sqlx::Error> {
    let rows: Vec<(String, i32)> = sqlx::query_as(
        "SELECT model, version FROM projection.checkpoints WHERE reactor ORDER BY model, version",
    )
    .fetch_all(pool)
    .await?;
    let follower = |(name, version): (String, i32)| Follower {
        name: name.into(),
        version: u32::try_from(version).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(follower).collect())
}

/// How far a projection has read, as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint(pub Position);

/// Makes sure that the projection has a checkpoint, and reads it.
pub(crate) async fn checkpoint(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<Position, sqlx::Error> {
    sqlx::query(
        "INSERT INTO projection.checkpoints (model, version) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(projection.name())
    .bind(version(projection))
    .execute(&mut *connection)
    .await?;
    Ok(read_checkpoint(connection, projection).await?.0)
}

/// Makes sure that a reactor has a checkpoint: at `position`, if it never ran before.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    reactor: &dyn Projection,
    position: Position,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO projection.checkpoints (model, version, position, reactor) VALUES ($1, $2, $3, true)
         ON CONFLICT DO NOTHING",
    )
    .bind(reactor.name())
    .bind(version(reactor))
    .bind(position.to_i64())
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads the projection's checkpoint, as the connection's snapshot has it: the beginning, if it has none.
pub async fn read_checkpoint(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<Checkpoint, sqlx::Error> {
    let position: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM projection.checkpoints WHERE model = $1 AND version = $2",
    )
    .bind(projection.name())
    .bind(version(projection))
    .fetch_optional(connection)
    .await?;
    Ok(Checkpoint(
        position.map_or(Position::START, Position::from_i64),
    ))
}

/// Reads the projection's checkpoint and holds its row to the end of the transaction: meanwhile no worker commits.
pub async fn lock_checkpoint(
    transaction: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<Checkpoint, sqlx::Error> {
    checkpoint(transaction, projection).await?;
    let position = sqlx::query_scalar(
        "SELECT position FROM projection.checkpoints WHERE model = $1 AND version = $2 FOR UPDATE",
    )
    .bind(projection.name())
    .bind(version(projection))
    .fetch_one(transaction)
    .await?;
    Ok(Checkpoint(Position::from_i64(position)))
}

/// Sets a checkpoint that [`lock_checkpoint`] holds.
pub async fn set_checkpoint(
    transaction: &mut PgConnection,
    projection: &dyn Projection,
    checkpoint: Checkpoint,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projection.checkpoints SET position = $3, updated_at = now() WHERE model = $1 AND version = $2",
    )
    .bind(projection.name())
    .bind(version(projection))
    .bind(checkpoint.0.to_i64())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Moves the checkpoint on, if it still is where the worker left it; tells whether it was.
pub(crate) async fn advance(
    transaction: &mut PgConnection,
    projection: &dyn Projection,
    from: Position,
    to: Position,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE projection.checkpoints SET position = $4, updated_at = now()
         WHERE model = $1 AND version = $2 AND position = $3",
    )
    .bind(projection.name())
    .bind(version(projection))
    .bind(from.to_i64())
    .bind(to.to_i64())
    .execute(transaction)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Notes that the projection's worker on `node` is alive, and whether it stands before an event that it cannot take; tells
/// how many events it is to pass over.
pub(crate) async fn report(
    connection: &mut PgConnection,
    projection: &dyn Projection,
    node: &str,
    stopped: Option<(Position, &str)>,
) -> Result<usize, sqlx::Error> {
    let parked: i64 = sqlx::query_scalar(
        "INSERT INTO projection.status (model, version, node, state, stopped_at, error)
         VALUES ($1, $2, $3, CASE WHEN $4::bigint IS NULL THEN 'running' ELSE 'stopped' END, $4, $5)
         ON CONFLICT (model, version) DO UPDATE SET
             node = excluded.node, state = excluded.state, stopped_at = excluded.stopped_at, error = excluded.error,
             heartbeat = now()
         RETURNING (SELECT count(*) FROM projection.parked_events p WHERE p.model = $1)",
    )
    .bind(projection.name())
    .bind(version(projection))
    .bind(node)
    .bind(stopped.map(|(position, _)| position.to_i64()))
    .bind(stopped.map(|(_, error)| error))
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(parked).unwrap_or_default())
}

/// The positions of the events that a projection passes over.
pub async fn parked(
    connection: &mut PgConnection,
    model: &str,
) -> Result<BTreeSet<Position>, sqlx::Error> {
    let rows = sqlx::query("SELECT position FROM projection.parked_events WHERE model = $1")
        .bind(model)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| row.try_get("position").map(Position::from_i64))
        .collect()
}

/// Why an event was not parked.
#[derive(Debug, thiserror::Error)]
pub enum NotParked {
    /// The follower has yet to come to the event, and does not stand before it.
    #[error(
        "{model} stands at position {checkpoint} and has not been stopped by position {position}; \
         only an event that has stopped it, or that it is past, can be parked"
    )]
    NotReached {
        /// The projection or reactor.
        model: Box<str>,
        /// The event.
        position: Position,
        /// Where it stands.
        checkpoint: Position,
    },
    /// Postgres refused, or is gone.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether a projection or a reactor may pass over an event: the one that has stopped it, or one that lies behind it, for the
/// next rebuild.
///
/// An event ahead that has not stopped it cannot be parked: the worker might be taking it at this moment. What may be parked
/// once may be for ever, since nobody goes back.
pub async fn may_park(
    connection: &mut PgConnection,
    follower: &Follower,
    position: Position,
) -> Result<(), NotParked> {
    let stands: (i64, Option<i64>) = sqlx::query_as(
        "SELECT coalesce(c.position, 0), s.stopped_at
         FROM (SELECT $1::text AS model, $2::integer AS version) k
         LEFT JOIN projection.checkpoints c USING (model, version)
         LEFT JOIN projection.status s USING (model, version)",
    )
    .bind(&*follower.name)
    .bind(follower.stored_version())
    .fetch_one(&mut *connection)
    .await?;
    let (checkpoint, stopped) = (Position::from_i64(stands.0), stands.1);
    if position > checkpoint && stopped != Some(position.to_i64()) {
        return Err(NotParked::NotReached {
            model: (&*follower.name).into(),
            position,
            checkpoint,
        });
    }
    Ok(())
}

/// Tells a projection or a reactor to pass over an event, if it [may](may_park).
pub async fn park(
    connection: &mut PgConnection,
    follower: &Follower,
    position: Position,
    reason: &str,
) -> Result<(), NotParked> {
    may_park(connection, follower, position).await?;
    sqlx::query(
        "INSERT INTO projection.parked_events (model, position, reason) VALUES ($1, $2, $3)
         ON CONFLICT (model, position) DO UPDATE SET reason = excluded.reason",
    )
    .bind(&*follower.name)
    .bind(position.to_i64())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes back that a projection or a reactor passes over an event; tells whether it did. An event that a projection has
/// passed already comes into the rows with the next rebuild; a reactor does not go back to it.
pub async fn unpark(
    connection: &mut PgConnection,
    follower: &Follower,
    position: Position,
) -> Result<bool, sqlx::Error> {
    let gone =
        sqlx::query("DELETE FROM projection.parked_events WHERE model = $1 AND position = $2")
            .bind(&*follower.name)
            .bind(position.to_i64())
            .execute(connection)
            .await?;
    Ok(gone.rows_affected() == 1)
}

/// The version as Postgres keeps it.
pub(crate) fn version(projection: &dyn Projection) -> i32 {
    i32::try_from(projection.version()).expect("versions are counted by hand")
}
