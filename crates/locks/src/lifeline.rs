//! Locks that nobody waits for: by them others see that a process lives.

use sqlx::{PgConnection, PgPool};

/// Holds the lifeline of this number for as long as the session lasts: Postgres ends the session of a process that was
/// killed. Of a machine that is gone it hears later, through TCP.
///
/// It is shared, since Postgres may not have noticed yet that the session before this one is over.
///
/// # Errors
///
/// Those of the database.
pub async fn hold_lifeline(connection: &mut PgConnection, number: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock_shared($1)")
        .bind(number)
        .execute(connection)
        .await?;
    Ok(())
}

/// The numbers of the lifelines that are held at the moment, each once for every session that holds it.
///
/// # Errors
///
/// Those of the database.
pub async fn lifelines(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND mode = 'ShareLock'
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_all(pool)
    .await
}
