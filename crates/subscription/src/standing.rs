//! Where each projection stands, for readiness, for people and for `replay status`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use events::ports::Clock;
use events::{EventStore, Family, Position, ReadError, Recorded};
use locks::Holder;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

use crate::bookkeeping::{Follower, reactors};
use crate::projection::Projection;

/// Where a projection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub model: Cow<'static, str>,
    /// The version of its tables.
    pub version: u32,
    /// How far it has read.
    pub checkpoint: Position,
    /// How many events of the log are ahead of it.
    pub behind: Behind,
    /// How long ago the first of them was stored; zero if there is none.
    pub lag: Duration,
    /// How it fares.
    pub state: State,
    /// Who works on it at this moment.
    pub lease: Option<Holder>,
    /// How many events it was told to pass over.
    pub parked: u64,
    /// How long ago its worker last gave a sign of life; `None` if it never did.
    pub silent_for: Option<Duration>,
}

/// How many events are ahead of a projection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// So many.
    pub events: u64,
    /// And more: where positions are not dense, no more were counted.
    pub or_more: bool,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.or_more { "+" } else { "" };
        write!(f, "{}{more}", self.events)
    }
}

/// How a projection fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No worker has ever had it.
    New,
    /// It follows the log.
    Running,
    /// It cannot take an event.
    Stopped {
        /// Which.
        position: Position,
        /// Why.
        error: String,
    },
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// Postgres.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// Where each of `projections` stands.
pub async fn standings(
    pool: &PgPool,
    store: &dyn EventStore,
    clock: &dyn Clock,
    projections: &[&dyn Projection],
) -> Result<Vec<Standing>, StandingError> {
    let followers = projections.iter().map(|it| Follower::from(*it)).collect();
    standings_of(pool, store, clock, followers).await
}

/// Where each reactor stands that has ever run on this database. Nobody has to know which there are.
pub async fn reactor_standings(
    pool: &PgPool,
    store: &dyn EventStore,
    clock: &dyn Clock,
) -> Result<Vec<Standing>, StandingError> {
    standings_of(pool, store, clock, reactors(pool).await?).await
}

async fn standings_of(
    pool: &PgPool,
    store: &dyn EventStore,
    clock: &dyn Clock,
    followers: Vec<Follower>,
) -> Result<Vec<Standing>, StandingError> {
    let leases: Vec<_> = followers.iter().map(Follower::lease).collect();
    let holders = locks::holders(pool, &leases).await?;
    let head = store.head().await?;
    let mut standings = Vec::with_capacity(followers.len());
    for (follower, lease) in followers.into_iter().zip(holders) {
        let stored_version = follower.stored_version();
        let row = row(pool, &follower.name, stored_version).await?;
        let checkpoint = Position::from_i64(row.try_get("position")?);
        let (behind, lag) = ahead(store, clock, checkpoint, head).await?;
        standings.push(Standing {
            checkpoint,
            behind,
            lag,
            state: state(&row)?,
            lease,
            parked: u64::try_from(row.try_get::<i64, _>("parked")?).unwrap_or_default(),
            silent_for: row
                .try_get::<Option<f64>, _>("silent_for")?
                .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            model: follower.name,
            version: follower.version,
        });
    }
    Ok(standings)
}

async fn row(pool: &PgPool, model: &str, version: i32) -> Result<PgRow, sqlx::Error> {
    sqlx::query(
        "SELECT coalesce(c.position, 0) AS position, s.state, s.stopped_at, s.error,
                extract(epoch FROM now() - s.heartbeat)::double precision AS silent_for,
                (SELECT count(*) FROM projection.parked_events p WHERE p.model = k.model) AS parked
         FROM (SELECT $1::text AS model, $2::integer AS version) k
         LEFT JOIN projection.checkpoints c USING (model, version)
         LEFT JOIN projection.status s USING (model, version)",
    )
    .bind(model)
    .bind(version)
    .fetch_one(pool)
    .await
}

fn state(row: &PgRow) -> Result<State, sqlx::Error> {
    let stopped_at: Option<i64> = row.try_get("stopped_at")?;
    let state: Option<String> = row.try_get("state")?;
    Ok(match (state, stopped_at) {
        (None, _) => State::New,
        (Some(_), None) => State::Running,
        (Some(_), Some(position)) => State::Stopped {
            position: Position::from_i64(position),
            error: row
                .try_get::<Option<String>, _>("error")?
                .unwrap_or_default(),
        },
    })
}

/// Where positions do not count events, no more than these are counted.
const COUNTED: usize = 1_000;

/// How many events are ahead of a checkpoint, and how long ago the first of them was stored.
async fn ahead(
    store: &dyn EventStore,
    clock: &dyn Clock,
    checkpoint: Position,
    head: Position,
) -> Result<(Behind, Duration), ReadError> {
    if checkpoint >= head {
        return Ok((Behind::default(), Duration::ZERO));
    }
    let dense = store.has_dense_positions();
    let counted = if dense { 1 } else { COUNTED };
    let next = store.read_all(checkpoint, &Family::ALL, counted).await?;
    let lag = |event: &Recorded| clock.now().since(event.recorded_at);
    let lag = next.events.first().map_or(Duration::ZERO, lag);
    let behind = if dense {
        Behind {
            events: head.0 - checkpoint.0,
            or_more: false,
        }
    } else {
        Behind {
            events: next.events.len() as u64,
            or_more: next.through < head,
        }
    };
    Ok((behind, lag))
}
