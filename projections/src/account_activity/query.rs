//! Questions about what accounts do.

use std::ops::RangeInclusive;

use events::Aci;
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{ActiveDay, Day, TABLE, apply};
use crate::QueryError;

/// Questions about what accounts do.
#[derive(Clone, Debug)]
pub struct AccountActivityQueries(pub(crate) PgPool);

impl AccountActivityQueries {
    /// The days of a range on which something happened, in order.
    pub async fn of(
        &self,
        aci: Aci,
        days: RangeInclusive<Day>,
    ) -> Result<Vec<ActiveDay>, QueryError> {
        let rows = sqlx::query(
            "SELECT *, day - '1970-01-01'::date AS days FROM account_activity_v1
             WHERE aci = $1 AND day BETWEEN '1970-01-01'::date + $2 AND '1970-01-01'::date + $3
             ORDER BY day",
        )
        .bind(aci.uuid())
        .bind(days.start().to_i32())
        .bind(days.end().to_i32())
        .fetch_all(&self.0)
        .await?;
        rows.iter().map(active_day).collect()
    }
}

fn active_day(row: &PgRow) -> Result<ActiveDay, QueryError> {
    let row = apply::read(row).map_err(QueryError::damaged(TABLE))?;
    Ok(ActiveDay {
        day: row.day,
        counts: row.counts,
    })
}
