//! Questions about pre-keys.

use events::{DeviceId, Generation, ServiceId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{PreKeyCounts, RepeatedUse, TABLE, row};
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
        let row = self.row(identity, device, generation).await?;
        let counts = row.as_ref().map(counts).transpose();
        Ok(counts
            .map_err(QueryError::damaged(TABLE))?
            .unwrap_or_default())
    }

    /// The keys that one life of a device hands out again and again for an identity, if it has both.
    pub async fn repeated_use(
        &self,
        identity: ServiceId,
        device: DeviceId,
        generation: Generation,
    ) -> Result<Option<RepeatedUse>, QueryError> {
        let row = self.row(identity, device, generation).await?;
        let keys = row.as_ref().map(row::repeated_use).transpose();
        Ok(keys.map_err(QueryError::damaged(TABLE))?.flatten())
    }

    async fn row(
        &self,
        identity: ServiceId,
        device: DeviceId,
        generation: Generation,
    ) -> Result<Option<PgRow>, QueryError> {
        let row = sqlx::query(
            "SELECT * FROM pre_keys_v1
             WHERE kind = $1 AND identity = $2 AND device = $3 AND generation = $4",
        )
        .bind(kind_column(identity))
        .bind(identity.uuid())
        .bind(device_column(device))
        .bind(generation_column(generation))
        .fetch_optional(&self.0)
        .await?;
        Ok(row)
    }
}

fn counts(row: &PgRow) -> Result<PreKeyCounts, BoxError> {
    Ok(PreKeyCounts {
        ec: count(row, "ec_left")?,
        kyber: count(row, "kyber_left")?,
    })
}
