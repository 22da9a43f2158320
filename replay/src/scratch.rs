//! A second copy of a read model's tables, beside the live one and out of everybody's way.

use std::sync::Arc;

use locks::Task;
use projections::{MODELS, Queries};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
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
    options: PgConnectOptions,
    bare: bool,
}

/// Sorting for indexes may take so much memory.
const MEMORY: &str = "256MB";

/// By how many values the planner knows a column; of 300 times as many rows `ANALYZE` reads a sample. These tables are asked
/// by their keys, for which a third of the default is plenty, and it is the last thing that a rebuild waits for.
const STATISTICS: &str = "30";

/// The live copies of the tables.
pub(crate) const LIVE: &str = Queries::LIVE_SCHEMA;

impl Scratch {
    /// Makes empty copies for `purpose` (part of a schema's name), bare of indexes and keys where `bare`.
    pub(crate) async fn create(
        pool: &PgPool,
        purpose: &str,
        projection: Arc<dyn Projection>,
        bare: bool,
    ) -> Result<Self, ReplayError> {
        let schema = format!("{purpose}_{}_v{}", projection.name(), projection.version());
        let options = (*pool.connect_options())
            .clone()
            .application_name("heliograph replay");
        let options = options.options([
            ("search_path", schema.as_str()),
            ("synchronous_commit", "off"),
            ("maintenance_work_mem", MEMORY),
            ("default_statistics_target", STATISTICS),
        ]);
        let connection = PgConnection::connect_with(&options).await?;
        let mut scratch = Self {
            projection,
            connection,
            schema,
            options,
            bare,
        };
        scratch.lock().await?;
        scratch.fill_schema().await?;
        Ok(scratch)
    }

    async fn lock(&mut self) -> Result<(), ReplayError> {
        if locks::try_take(&mut self.connection, Task::Copy(&self.schema)).await? {
            Ok(())
        } else {
            Err(ReplayError::Busy(self.schema.clone()))
        }
    }

    async fn fill_schema(&mut self) -> Result<(), sqlx::Error> {
        let schema = &self.schema;
        let without = if self.bare { "EXCLUDING INDEXES" } else { "" };
        let mut statements = vec![
            format!("DROP SCHEMA IF EXISTS {schema} CASCADE"),
            format!("CREATE SCHEMA {schema}"),
        ];
        for table in self.projection.tables() {
            statements.push(format!(
                "CREATE TABLE {schema}.{table} (LIKE {LIVE}.{table} INCLUDING ALL {without})"
            ));
        }
        run(&mut self.connection, &statements).await
    }

    /// Whether the copies have no indexes and keys.
    pub(crate) const fn is_bare(&self) -> bool {
        self.bare
    }

    /// Another connection that works on the copies.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options).await
    }

    /// Gives bare copies the keys and indexes of the live tables.
    pub(crate) async fn add_indexes(&mut self) -> Result<(), sqlx::Error> {
        let mut statements = Vec::new();
        for table in self.projection.tables() {
            let live = format!("{LIVE}.{table}");
            let copy = self.table(table);
            let indexes = sqlx::query(
                "SELECT quote_ident(c.conname) AS key, pg_get_constraintdef(c.oid) AS definition,
                        pg_get_indexdef(i.indexrelid) AS index
                 FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')
                 WHERE i.indrelid = $1::regclass ORDER BY c.contype = 'p' DESC NULLS LAST, i.indexrelid",
            )
            .bind(&live)
            .fetch_all(&mut self.connection)
            .await?;
            for row in indexes {
                let key: Option<String> = row.try_get("key")?;
                statements.push(if let Some(key) = key {
                    let definition: String = row.try_get("definition")?;
                    format!("ALTER TABLE {copy} ADD CONSTRAINT {key} {definition}")
                } else {
                    let index: String = row.try_get("index")?;
                    index.replacen(&format!(" ON {live} "), &format!(" ON {copy} "), 1)
                });
            }
        }
        run(&mut self.connection, &statements).await?;
        self.bare = false;
        Ok(())
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

    /// Removes what is left of the copies. On a connection of its own: the other one may have been left in the midst of a
    /// statement, which ends with it. Whoever makes copies next finds their lock free.
    pub(crate) async fn remove(self) -> Result<(), sqlx::Error> {
        let Self {
            connection,
            schema,
            options,
            ..
        } = self;
        drop(connection);
        let mut connection = PgConnection::connect_with(&options).await?;
        // The other session has it until Postgres has seen its end.
        locks::wait(&mut connection, Task::Copy(&schema)).await?;
        let statement = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        run(&mut connection, &[statement]).await?;
        locks::give_back(&mut connection, Task::Copy(&schema)).await?;
        connection.close().await
    }
}

/// Clears away the copies that killed processes have left, and what they said of themselves; tells how many there were.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let names: Vec<&str> = MODELS.iter().map(|model| model.name()).collect();
    let left = format!("^(rebuild|verify)_({})_v[0-9]+$", names.join("|"));
    let schemas: Vec<String> =
        sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE nspname ~ $1")
            .bind(&left)
            .fetch_all(pool)
            .await?;
    let mut swept = 0;
    for schema in schemas {
        let mut transaction = pool.begin().await?;
        // Whoever is at work holds the lock.
        if !locks::try_take_in(&mut transaction, Task::Copy(&schema)).await? {
            continue;
        }
        sqlx::query("DELETE FROM projection.rebuilds WHERE $1 LIKE 'rebuild\\_' || replace(model, '_', '\\_') || '\\_v%'")
            .bind(&schema)
            .execute(&mut *transaction)
            .await?;
        let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        run(&mut transaction, &[drop]).await?;
        transaction.commit().await?;
        tracing::info!(schema, "cleared away what a killed rebuild has left");
        swept += 1;
    }
    Ok(swept)
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
