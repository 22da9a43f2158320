//! The one handle to all answers.

use std::sync::Arc;
use std::time::Duration;

use events::ports::Clock;
use events::{EventStore, Position};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use subscription::{Progress, Standing};

use crate::{Model, QueryError};

/// All questions that can be put to the read models. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    pool: PgPool,
    store: Arc<dyn EventStore>,
    progress: Progress,
}

/// How many connections may answer questions at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// At most so many.
    pub at_most: u32,
    /// A question waits so long for one of them.
    pub wait: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            at_most: 8,
            wait: Duration::from_secs(5),
        }
    }
}

impl Queries {
    /// The schema in which the live copies of the tables stand.
    pub const LIVE_SCHEMA: &str = "read_models";

    /// Opens connections to the live read models, each when it is first needed.
    ///
    /// `progress` is the board on which the workers of this process, and what they hear of others, note how far the
    /// read models are ([`Model::progress`]).
    pub fn new(
        database: PgConnectOptions,
        connections: Connections,
        store: Arc<dyn EventStore>,
        progress: Progress,
    ) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections.at_most)
            .acquire_timeout(connections.wait)
            // A round trip for each question. A connection that died is found out by the question itself.
            .test_before_acquire(false)
            .connect_lazy_with(database.options([("search_path", Self::LIVE_SCHEMA)]));
        Self {
            pool,
            store,
            progress,
        }
    }

    /// Where the questions go; each read model's own ones are handed out by a method of its name (`registry.rs`).
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits until all of `models` have come as far as `position`; tells whether they did `within` the time.
    pub async fn caught_up(&self, models: &[Model], position: Position, within: Duration) -> bool {
        let names: Vec<_> = models.iter().map(|model| model.name()).collect();
        self.progress.reached(&names, position, within).await
    }

    /// The position of the log's last event.
    pub async fn head(&self) -> Result<Position, QueryError> {
        self.store
            .head()
            .await
            .map_err(|error| QueryError::Unavailable(Box::new(error)))
    }

    /// How far each read model is known to be, without asking the database.
    pub fn positions(&self) -> Vec<(Model, Position)> {
        let position = |model: &Model| (*model, self.progress.of(model.name()));
        crate::MODELS.iter().map(position).collect()
    }

    /// Where each read model stands: state, lag, lease, parked events.
    pub async fn standings(&self, clock: &dyn Clock) -> Result<Vec<Standing>, QueryError> {
        let projections: Vec<_> = crate::MODELS
            .iter()
            .map(|model| model.projection())
            .collect();
        let projections: Vec<_> = projections.iter().map(|it| &**it).collect();
        subscription::standings(&self.pool, &*self.store, clock, &projections)
            .await
            .map_err(|error| QueryError::Unavailable(Box::new(error)))
    }

    /// Where each reactor stands that has ever run.
    pub async fn reactor_standings(&self, clock: &dyn Clock) -> Result<Vec<Standing>, QueryError> {
        subscription::reactor_standings(&self.pool, &*self.store, clock)
            .await
            .map_err(|error| QueryError::Unavailable(Box::new(error)))
    }

    /// Closes the connections; questions that are under way are answered first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
