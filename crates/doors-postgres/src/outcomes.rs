//! What requests with an `Idempotency-Key` were answered, a row each.

use api::ports::outcomes::{
    Begun, Fingerprint, LIFETIME, OutcomeId, Outcomes, OutcomesUnavailable,
};
use async_trait::async_trait;
use bytes::Bytes;
use events::Timestamp;
use sqlx::PgPool;

use crate::{millis, timestamp};

/// Outcomes in the database of `pool`.
#[derive(Clone)]
pub struct PgOutcomes(PgPool);

type Row = (i64, Vec<u8>, Option<Vec<u8>>);

impl PgOutcomes {
    /// On the database of `pool`.
    pub const fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Notes the request if nothing is known of it, or only what has expired; then reads what stands there.
    async fn note(
        &self,
        id: OutcomeId,
        fingerprint: Fingerprint,
        at: Timestamp,
    ) -> Result<Row, sqlx::Error> {
        let lifetime = i64::try_from(LIFETIME.as_millis()).expect("a day");
        sqlx::query(
            "INSERT INTO doors.outcomes AS known (id, fingerprint, begun_at) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE
             SET fingerprint = excluded.fingerprint, begun_at = excluded.begun_at, answer = NULL
             WHERE known.begun_at <= $4",
        )
        .bind(id.as_slice())
        .bind(fingerprint.as_slice())
        .bind(millis(at))
        .bind(millis(at) - lifetime)
        .execute(&self.0)
        .await?;
        sqlx::query_as("SELECT begun_at, fingerprint, answer FROM doors.outcomes WHERE id = $1")
            .bind(id.as_slice())
            .fetch_one(&self.0)
            .await
    }
}

fn unavailable(error: sqlx::Error) -> OutcomesUnavailable {
    OutcomesUnavailable(Box::new(error))
}

#[async_trait]
impl Outcomes for PgOutcomes {
    async fn begin(
        &self,
        id: OutcomeId,
        fingerprint: Fingerprint,
        at: Timestamp,
    ) -> Result<Begun, OutcomesUnavailable> {
        let row = self.note(id, fingerprint, at).await.map_err(unavailable)?;
        let (begun_at, fingerprint, answer) = row;
        Ok(Begun {
            at: timestamp(begun_at),
            fingerprint: fingerprint.try_into().unwrap_or_default(),
            answer: answer.map(Bytes::from),
        })
    }

    async fn settle(&self, id: OutcomeId, answer: Bytes) -> Result<Bytes, OutcomesUnavailable> {
        // Of two that were carried out at the same time the first to get here is the one that counts.
        let settled: Result<Option<Vec<u8>>, _> = sqlx::query_scalar(
            "UPDATE doors.outcomes SET answer = coalesce(answer, $2) WHERE id = $1 RETURNING answer",
        )
        .bind(id.as_slice())
        .bind(&*answer)
        .fetch_optional(&self.0)
        .await
        .map_err(unavailable);
        Ok(settled?.map_or(answer, Bytes::from))
    }
}
