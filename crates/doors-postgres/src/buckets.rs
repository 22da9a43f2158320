//! Buckets of rate limits, a row each.

use api::limits::buckets::{BucketId, BucketsUnavailable, SharedBuckets};
use api::limits::rates::{Level, Rate, Taken};
use async_trait::async_trait;
use events::Timestamp;
use sqlx::PgPool;

use crate::{millis, timestamp};

/// Buckets in the database of `pool`.
#[derive(Clone)]
pub struct PgBuckets(PgPool);

impl PgBuckets {
    /// On the database of `pool`.
    pub const fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    async fn count(
        &self,
        bucket: BucketId,
        rate: Rate,
        amount: u64,
        at: Timestamp,
    ) -> Result<Taken, sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        // Whoever is first makes the row, so that there is one to lock.
        sqlx::query(
            "INSERT INTO doors.rate_limit_buckets (bucket, remaining, at, full_at)
             VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING",
        )
        .bind(bucket.as_slice())
        .bind(bounded(rate.size))
        .bind(millis(at))
        .execute(&mut *transaction)
        .await?;
        let (remaining, counted): (i64, i64) = sqlx::query_as(
            "SELECT remaining, at FROM doors.rate_limit_buckets WHERE bucket = $1 FOR UPDATE",
        )
        .bind(bucket.as_slice())
        .fetch_one(&mut *transaction)
        .await?;
        let level = Level {
            remaining: u64::try_from(remaining).unwrap_or_default(),
            at: timestamp(counted),
        };
        let taken = rate.take(Some(level), amount, at);
        if let Taken::Yes(level) = taken {
            sqlx::query(
                "UPDATE doors.rate_limit_buckets SET remaining = $2, at = $3, full_at = $4
                 WHERE bucket = $1",
            )
            .bind(bucket.as_slice())
            .bind(bounded(level.remaining))
            .bind(millis(level.at))
            .bind(millis(level.at.plus(rate.until_full(level))))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(taken)
    }
}

fn bounded(permits: u64) -> i64 {
    i64::try_from(permits).unwrap_or(i64::MAX)
}

fn unavailable(error: sqlx::Error) -> BucketsUnavailable {
    BucketsUnavailable(Box::new(error))
}

#[async_trait]
impl SharedBuckets for PgBuckets {
    async fn take(
        &self,
        bucket: BucketId,
        rate: Rate,
        amount: u64,
        at: Timestamp,
    ) -> Result<Taken, BucketsUnavailable> {
        self.count(bucket, rate, amount, at)
            .await
            .map_err(unavailable)
    }

    async fn clear(&self, bucket: BucketId) -> Result<(), BucketsUnavailable> {
        let cleared = sqlx::query("DELETE FROM doors.rate_limit_buckets WHERE bucket = $1")
            .bind(bucket.as_slice())
            .execute(&self.0)
            .await;
        cleared.map(drop).map_err(unavailable)
    }
}
