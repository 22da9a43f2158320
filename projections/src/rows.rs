//! Many rows at once: read, or changed, in one statement.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use crate::columns::BoxError;

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The rows of `keys`, as far as there are any. Without keys nothing is asked.
///
/// # Errors
///
/// Those of the database, and [`sqlx::Error::Decode`] for a row that cannot be read.
pub(crate) async fn load<'q, K, R>(
    connection: &mut PgConnection,
    keys: &[K],
    read: impl Fn(&PgRow) -> Result<R, BoxError>,
    statement: impl FnOnce() -> Statement<'q>,
) -> Result<Vec<R>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = statement().fetch_all(connection).await?;
    let rows: Result<_, _> = rows.iter().map(read).collect();
    rows.map_err(sqlx::Error::Decode)
}

/// Runs a statement over `items`, unless there are none.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn change<'q, T>(
    connection: &mut PgConnection,
    items: &[T],
    statement: impl FnOnce() -> Statement<'q>,
) -> Result<(), sqlx::Error> {
    if !items.is_empty() {
        statement().execute(connection).await?;
    }
    Ok(())
}
