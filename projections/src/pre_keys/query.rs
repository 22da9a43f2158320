//! Questions about pre-keys.

use events::{DeviceId, Generation, ServiceId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{PreKeyCounts, TABLE};
use crate::QueryError;
use crate::columns::{BoxError, count, device_column, generation_column, kind_column};

/// Questions about pre-keys.
#[derive(Clone, Debug)]
pub struct PreKeyQueries(pub(crate) PgPool);

impl PreKeyQueries {
    /// How many one-time keys one life of a device still has for an identity; none if it never sent any.
    pub async fn counts(
        &self,
        identity: ServiceId,
        device: DeviceId,
        generation: Generation,
    ) -> Result<PreKeyCounts, QueryError> {
        let row = sqlx::query(
            "SELECT ec_left, kyber_left FROM pre_keys_v1
             WHERE kind = $1 AND identity = $2 AND device = $3 AND generation = $4",
        )
        .bind(kind_column(identity))
        .bind(identity.uuid())
        .bind(device_column(device))
        .bind(generation_column(generation))
        .fetch_optional(&self.0)
        .await?;
        let Some(row) = row else {
            return Ok(PreKeyCounts::default());
        };
        counts(&row).map_err(QueryError::damaged(TABLE))
    }
}

fn counts(row: &PgRow) -> Result<PreKeyCounts, BoxError> {
    Ok(PreKeyCounts {
        ec: count(row, "ec_left")?,
        kyber: count(row, "kyber_left")?,
    })
}
