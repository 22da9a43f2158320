//! Challenges that were pushed to devices, beside the log: none of them is a fact.

use events::{Aci, Timestamp};
use sqlx::PgPool;

/// Remembers one challenge for an account, the last one, on all nodes.
#[derive(Clone, Debug)]
pub struct PgPushedChallenges {
    pool: PgPool,
}

impl PgPushedChallenges {
    /// On the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The account can answer this challenge, and no earlier one, until then.
    pub async fn remember(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        until: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO abuse.pushed_challenges (aci, challenge, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (aci) DO UPDATE SET challenge = excluded.challenge, expires_at = excluded.expires_at",
        )
        .bind(aci.uuid())
        .bind(challenge.as_slice())
        .bind(until.to_i64())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether this is the account's challenge and can still be answered; it is forgotten then. What others can no longer
    /// answer is forgotten on the way.
    pub async fn take(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        at: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let gone: Vec<bool> = sqlx::query_scalar(
            "DELETE FROM abuse.pushed_challenges
             WHERE expires_at < $3 OR (aci = $1 AND challenge = $2)
             RETURNING aci = $1 AND challenge = $2 AND expires_at >= $3",
        )
        .bind(aci.uuid())
        .bind(challenge.as_slice())
        .bind(at.to_i64())
        .fetch_all(&self.pool)
        .await?;
        Ok(gone.contains(&true))
    }
}
