//! Taking them and giving them back.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

use crate::task::Task;

/// A lock, and the connection that holds it and nothing else unless its owner works with it.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct Lock {
    connection: PgConnection,
    task: Task<'static>,
}

impl Lock {
    /// Takes it on a connection of its own, if nobody has it. Whoever asks while somebody else has it costs no connection.
    pub async fn try_take(pool: &PgPool, task: Task<'static>) -> Result<Option<Self>, sqlx::Error> {
        if holders(pool, &[task]).await?.iter().any(Option::is_some) {
            return Ok(None);
        }
        let mut connection = pool.acquire().await?.detach();
        let taken = try_take(&mut connection, task).await?;
        Ok(taken.then_some(Self { connection, task }))
    }

    /// What is written here is not written any more once somebody else can have the lock.
    pub const fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives it back: whoever asks next has it. If Postgres cannot be told, the end of the session does it a little later.
    pub async fn give_back(mut self) {
        if give_back(&mut self.connection, self.task).await.is_ok() {
            _ = self.connection.close().await;
        }
    }
}

/// Takes it for this session, if nobody has it; tells whether it did.
pub async fn try_take(connection: &mut PgConnection, task: Task<'_>) -> Result<bool, sqlx::Error> {
    ask(
        connection,
        "SELECT pg_try_advisory_lock($1, $2) AS it",
        task,
    )
    .await
}

/// Takes it for this transaction, if nobody has it; tells whether it did.
pub async fn try_take_in(
    transaction: &mut PgConnection,
    task: Task<'_>,
) -> Result<bool, sqlx::Error> {
    ask(
        transaction,
        "SELECT pg_try_advisory_xact_lock($1, $2) AS it",
        task,
    )
    .await
}

/// Waits until this session has it.
pub async fn wait(connection: &mut PgConnection, task: Task<'_>) -> Result<(), sqlx::Error> {
    ask(
        connection,
        "SELECT pg_advisory_lock($1, $2) IS NOT NULL AS it",
        task,
    )
    .await?;
    Ok(())
}

/// Waits until this transaction has it.
pub async fn wait_in(transaction: &mut PgConnection, task: Task<'_>) -> Result<(), sqlx::Error> {
    ask(
        transaction,
        "SELECT pg_advisory_xact_lock($1, $2) IS NOT NULL AS it",
        task,
    )
    .await?;
    Ok(())
}

/// Gives back what this session has.
pub async fn give_back(connection: &mut PgConnection, task: Task<'_>) -> Result<(), sqlx::Error> {
    ask(connection, "SELECT pg_advisory_unlock($1, $2) AS it", task).await?;
    Ok(())
}

async fn ask(
    connection: &mut PgConnection,
    query: &'static str,
    task: Task<'_>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(query)
        .bind(Task::CLASS)
        .bind(task.number())
        .fetch_one(connection)
        .await
}

/// Ends the session that has the lock, if it has said and done nothing for so long: its process was stopped, or its
/// machine is gone, and nobody has told Postgres. Should it wake up, it finds that its session is over.
///
/// A session that works, or waits inside Postgres, is left alone, however long that takes.
pub async fn end_stalled(
    connection: &mut PgConnection,
    task: Task<'_>,
    stalled: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(bool_or(pg_terminate_backend(holder.pid)), false)
         FROM pg_locks holder JOIN pg_stat_activity session USING (pid)
         WHERE holder.locktype = 'advisory' AND holder.granted
           AND holder.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND holder.classid = $1::oid AND holder.objid = $2::oid AND holder.objsubid = 2
           AND session.state LIKE 'idle%' AND session.state_change < now() - make_interval(secs => $3)",
    )
    .bind(Task::CLASS)
    .bind(task.number())
    .bind(stalled.as_secs_f64())
    .fetch_one(connection)
    .await
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What the session calls itself: the name of the node.
    pub node: String,
    /// The process in Postgres.
    pub backend: i32,
}

/// Who holds the locks of these tasks at the moment, in their order.
pub async fn holders(
    pool: &PgPool,
    tasks: &[Task<'_>],
) -> Result<Vec<Option<Holder>>, sqlx::Error> {
    let numbers: Vec<i32> = tasks.iter().map(|task| task.number()).collect();
    let rows = sqlx::query(
        "SELECT l.pid, a.application_name
         FROM unnest($2::int[]) WITH ORDINALITY AS asked(number, place)
         LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = $1::oid
           AND l.objid = asked.number::oid
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         LEFT JOIN pg_stat_activity a USING (pid)
         ORDER BY place",
    )
    .bind(Task::CLASS)
    .bind(numbers)
    .fetch_all(pool)
    .await?;
    let holder = |row: &PgRow| {
        let backend: Option<i32> = row.try_get("pid")?;
        let node: Option<String> = row.try_get("application_name")?;
        Ok(backend.map(|backend| Holder {
            node: node.unwrap_or_default(),
            backend,
        }))
    };
    rows.iter().map(holder).collect()
}
