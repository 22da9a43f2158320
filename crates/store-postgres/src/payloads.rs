//! Payloads: written with their events by the appender, read and erased here.

use async_trait::async_trait;
use bytes::Bytes;
use events::payload::{Payload, PayloadId};
use events::store::{PayloadSink, PayloadSlice, PayloadStore, PayloadsUnavailable};
use sqlx::PgPool;
use uuid::Uuid;

use crate::cause;

/// The payload store beside the log, in the same database.
#[derive(Clone, Debug)]
pub struct PgPayloadStore {
    pool: PgPool,
}

impl PgPayloadStore {
    /// On the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl PayloadStore for PgPayloadStore {
    async fn fetch(
        &self,
        slices: &[PayloadSlice],
    ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable> {
        let ids: Vec<Uuid> = slices.iter().map(|slice| slice.id.0).collect();
        // Out of what Postgres counts in, nothing is there to read.
        let offsets: Vec<i32> = slices
            .iter()
            .map(|s| i32::try_from(s.offset).unwrap_or(i32::MAX - 1))
            .collect();
        let lengths: Vec<i32> = slices
            .iter()
            .map(|s| i32::try_from(s.length).unwrap_or(i32::MAX))
            .collect();
        let found: Vec<Option<Vec<u8>>> = sqlx::query_scalar(
            "SELECT substring(p.bytes FROM w.start + 1 FOR w.length)
             FROM unnest($1::uuid[], $2::int[], $3::int[]) WITH ORDINALITY AS w (id, start, length, place)
             LEFT JOIN log.payloads p ON p.id = w.id
             ORDER BY w.place",
        )
        .bind(&ids)
        .bind(&offsets)
        .bind(&lengths)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| PayloadsUnavailable(cause(e)))?;
        let whole = |(slice, bytes): (&PayloadSlice, Option<Vec<u8>>)| {
            bytes
                .filter(|bytes| bytes.len() == slice.length as usize)
                .map(Bytes::from)
        };
        Ok(slices.iter().zip(found).map(whole).collect())
    }

    async fn erase(&self, ids: &[PayloadId]) -> Result<u64, PayloadsUnavailable> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let erased = sqlx::query("DELETE FROM log.payloads WHERE id = ANY($1)")
            .bind(&ids)
            .execute(&self.pool)
            .await
            .map_err(|e| PayloadsUnavailable(cause(e)))?;
        Ok(erased.rows_affected())
    }

    async fn stored(
        &self,
        after: Option<PayloadId>,
        limit: usize,
    ) -> Result<Vec<PayloadId>, PayloadsUnavailable> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM log.payloads WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after.map(|after| after.0))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|e| PayloadsUnavailable(cause(e)))?;
        Ok(ids.into_iter().map(PayloadId).collect())
    }
}

#[async_trait]
impl PayloadSink for PgPayloadStore {
    async fn keep(&self, payloads: &[Payload]) -> Result<(), PayloadsUnavailable> {
        let ids: Vec<Uuid> = payloads.iter().map(|payload| payload.id.0).collect();
        let bytes: Vec<&[u8]> = payloads.iter().map(|payload| &payload.bytes[..]).collect();
        sqlx::query(
            "INSERT INTO log.payloads (id, bytes) SELECT * FROM unnest($1::uuid[], $2::bytea[])
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(&ids)
        .bind(&bytes)
        .execute(&self.pool)
        .await
        .map_err(|e| PayloadsUnavailable(cause(e)))?;
        Ok(())
    }
}
