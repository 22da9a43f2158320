//! A database with read models, and histories applied to it.

use std::sync::Arc;

use events::codec::Fact;
use projections::{Connections, Model, Queries};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use testkit::history::History;
use testkit::memory::MemoryStore;
use testkit::postgres::TestDatabase;

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) queries: Queries,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Arc::new(MemoryStore::default());
        let options = database.connect_options();
        let queries = Queries::new(options, Connections::default(), store, Model::progress());
        Self { database, queries }
    }

    /// A connection as a worker has it.
    pub(crate) async fn connection(&self) -> PgConnection {
        let options = self
            .database
            .connect_options()
            .options([("search_path", Queries::LIVE_SCHEMA)]);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Applies a history to one model: event by event, and each event twice.
    pub(crate) async fn apply(&self, model: Model, history: &History) {
        let mut connection = self.connection().await;
        for fact in history.facts() {
            apply(&mut connection, model, std::slice::from_ref(fact)).await;
            apply(&mut connection, model, std::slice::from_ref(fact)).await;
        }
    }
}

/// Applies facts as one batch, as far as they are of the model's families.
pub(crate) async fn apply(connection: &mut PgConnection, model: Model, facts: &[Fact]) {
    let projection = model.projection();
    let wanted = |fact: &&Fact| projection.families().contains(&fact.stream.family());
    let facts: Vec<&Fact> = facts.iter().filter(wanted).collect();
    projection.apply(connection, &facts).await.unwrap();
}

/// All rows of a model, as text, in an order of their own.
pub(crate) async fn rows(connection: &mut PgConnection, model: Model) -> Vec<String> {
    let mut rows = Vec::new();
    for table in model.projection().tables() {
        let sql = format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        rows.extend(found);
    }
    rows
}
