//! How far history may move.

use std::time::Duration;

use events::Position;
use projections::Model;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::audit::search::Moment;
use crate::environment::Environment;
use crate::error::ReplayError;
use crate::scratch::LIVE;

/// How far history may move: nothing after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The last event that is older than the horizon.
    pub horizon: Position,
    /// The last event before the message that waits longest; as far as the inboxes have read, if none waits.
    pub inbox: Position,
}

impl Bounds {
    /// What holds at this moment.
    pub async fn now(environment: &Environment, horizon: Duration) -> Result<Self, ReplayError> {
        let moment = environment.clock.now().minus(horizon);
        Ok(Self {
            horizon: Moment::When(moment).last_position(environment).await?,
            inbox: inbox(environment).await?,
        })
    }

    /// The last position that may move.
    pub fn end(&self) -> Position {
        self.horizon.min(self.inbox)
    }
}

/// A message that the inboxes do not show at some position, though they have read it, will never wait again. So what they show
/// in one snapshot with their checkpoint bounds what may move for ever after.
async fn inbox(environment: &Environment) -> Result<Position, ReplayError> {
    let projection = Model::Inbox.projection();
    let mut connection = environment.database.acquire().await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    let mut snapshot = connection.begin_with(begin).await?;
    let read = subscription::read_checkpoint(&mut snapshot, &*projection).await?;
    let mut bound = read.0;
    for table in projection.tables() {
        let sql = AssertSqlSafe(format!("SELECT min(position) FROM {LIVE}.{table}"));
        let waiting: Option<i64> = sqlx::query_scalar(sql).fetch_one(&mut *snapshot).await?;
        if let Some(waiting) = waiting {
            bound = bound.min(Position::from_i64(waiting - 1));
        }
    }
    snapshot.commit().await?;
    Ok(bound)
}
