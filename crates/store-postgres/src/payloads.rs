//! Payloads: written with their events by the appender, read and erased here.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::payload::{Payload, PayloadId};
use events::store::{PayloadSink, PayloadSlice, PayloadStore, PayloadsUnavailable};
use moka::future::Cache;
use sqlx::PgPool;
use uuid::Uuid;

use crate::cause;

/// So much of what was just appended stays at hand, in bytes.
const AT_HAND: u64 = 16 << 20;

/// And so long: it bounds how long something may be delivered from memory that another node has erased.
const AT_HAND_FOR: Duration = Duration::from_secs(10);

/// The payload store beside the log, in the same database. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct PgPayloadStore {
    pool: PgPool,
    at_hand: Cache<PayloadId, Bytes>,
}

impl PgPayloadStore {
    /// On the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        let at_hand = Cache::builder()
            .weigher(|_, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .max_capacity(AT_HAND)
            .time_to_live(AT_HAND_FOR)
            .build();
        Self { pool, at_hand }
    }

    /// The slices, if all of them are at hand.
    async fn find_at_hand(&self, slices: &[PayloadSlice]) -> Option<Vec<Option<Bytes>>> {
        let mut found = Vec::with_capacity(slices.len());
        for slice in slices {
            let bytes = self.at_hand.get(&slice.id).await?;
            let start = slice.offset as usize;
            let end = start.saturating_add(slice.length as usize);
            found.push((end <= bytes.len()).then(|| bytes.slice(start..end)));
        }
        Some(found)
    }
}

#[async_trait]
impl PayloadStore for PgPayloadStore {
    async fn keep_at_hand(&self, payloads: &[Payload]) {
        for Payload { id, bytes } in payloads {
            self.at_hand.insert(*id, bytes.clone()).await;
        }
    }

    async fn fetch(
        &self,
        slices: &[PayloadSlice],
    ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable> {
        if let Some(found) = self.find_at_hand(slices).await {
            return Ok(found);
        }
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
        for id in ids {
            self.at_hand.invalidate(id).await;
        }
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
