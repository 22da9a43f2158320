#![doc = include_str!("../README.md")]

mod buckets;
mod outcomes;

pub use buckets::PgBuckets;
pub use outcomes::PgOutcomes;

use events::Timestamp;
use sqlx::PgPool;

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.epoch_millis()).expect("timestamps end before i64 does")
}

fn timestamp(millis: i64) -> Timestamp {
    let millis = u64::try_from(millis).unwrap_or_default();
    Timestamp::from_epoch_millis(millis).unwrap_or_default()
}

/// Removes buckets that are full again and outcomes that nobody may ask for any more. Returns how many rows.
pub async fn sweep(pool: &PgPool, at: Timestamp) -> Result<u64, sqlx::Error> {
    let buckets = sqlx::query("DELETE FROM doors.rate_limit_buckets WHERE full_at <= $1")
        .bind(millis(at))
        .execute(pool)
        .await?;
    let lifetime = i64::try_from(api::ports::outcomes::LIFETIME.as_millis()).expect("a day");
    let outcomes = sqlx::query("DELETE FROM doors.outcomes WHERE begun_at <= $1")
        .bind(millis(at) - lifetime)
        .execute(pool)
        .await?;
    Ok(buckets.rows_affected() + outcomes.rows_affected())
}
