//! A second copy of a read model's tables, beside the live one and out of everybody's way.

use std::sync::Arc;

use projections::Queries;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use subscription::Projection;

use crate::error::ReplayError;

/// A schema with empty copies of a read model's tables, and a connection that works on them.
///
/// The connection holds a lock, so that nobody else makes a copy for the same purpose. What a killed process has left
/// is removed by the next one.
pub(crate) struct Scratch {
    pub(crate) projection: Arc<dyn Projection>,
    pub(crate) connection: PgConnection,
    schema: String,
}

/// The live copies of the tables.
pub(crate) const LIVE: &str = Queries::LIVE_SCHEMA;

impl Scratch {
    /// Makes empty copies for `purpose` (part of a schema's name).
    pub(crate) async fn create(
        pool: &PgPool,
        purpose: &str,
        projection: Arc<dyn Projection>,
    ) -> Result<Self, ReplayError> {
        let schema = format!("{purpose}_{}_v{}", projection.name(), projection.version());
        let options = (*pool.connect_options())
            .clone()
            .application_name("heliograph replay");
        let options = options.options([
            ("search_path", schema.as_str()),
            ("synchronous_commit", "off"),
        ]);
        let connection = PgConnection::connect_with(&options).await?;
        let mut scratch = Self {
            projection,
            connection,
            schema,
        };
        scratch.lock().await?;
        scratch.fill_schema().await?;
        Ok(scratch)
    }

    async fn lock(&mut self) -> Result<(), ReplayError> {
        let locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
                .bind(&self.schema)
                .fetch_one(&mut self.connection)
                .await?;
        if locked {
            Ok(())
        } else {
            Err(ReplayError::Busy(self.schema.clone()))
        }
    }

    async fn fill_schema(&mut self) -> Result<(), sqlx::Error> {
        let schema = &self.schema;
        let mut statements = vec![
            format!("DROP SCHEMA IF EXISTS {schema} CASCADE"),
            format!("CREATE SCHEMA {schema}"),
        ];
        for table in self.projection.tables() {
            statements.push(format!(
                "CREATE TABLE {schema}.{table} (LIKE {LIVE}.{table} INCLUDING ALL)"
            ));
        }
        run(&mut self.connection, &statements).await
    }

    /// The name of a table's copy.
    pub(crate) fn table(&self, table: &str) -> String {
        format!("{}.{table}", self.schema)
    }

    /// Tells the planner what the copies hold.
    pub(crate) async fn analyze(&mut self) -> Result<(), sqlx::Error> {
        let analyze = |table: &&str| format!("ANALYZE {}", self.table(table));
        let statements: Vec<_> = self.projection.tables().iter().map(analyze).collect();
        run(&mut self.connection, &statements).await
    }

    /// Puts the copies in the place of the live tables, inside the transaction on `connection`: whoever asks next, and
    /// whoever waits meanwhile, gets the new ones.
    pub(crate) fn swap_statements(&self) -> Vec<String> {
        let swap = |table: &&str| {
            [
                format!("DROP TABLE {LIVE}.{table}"),
                format!("ALTER TABLE {} SET SCHEMA {LIVE}", self.table(table)),
            ]
        };
        self.projection.tables().iter().flat_map(swap).collect()
    }

    /// Removes what is left of the copies.
    pub(crate) async fn remove(mut self) -> Result<(), sqlx::Error> {
        let schema = &self.schema;
        let statement = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        run(&mut self.connection, &[statement]).await?;
        self.connection.close().await
    }
}

/// Runs statements that are made of names from the code only.
pub(crate) async fn run(
    connection: &mut PgConnection,
    statements: &[String],
) -> Result<(), sqlx::Error> {
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
