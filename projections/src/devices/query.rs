//! Questions about devices.

use events::values::hashes::LinkTokenHash;
use events::{Aci, DeviceId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{Device, TABLE, row};
use crate::QueryError;
use crate::columns::device_column;

/// Questions about devices.
#[derive(Clone, Debug)]
pub struct DeviceQueries(pub(crate) PgPool);

impl DeviceQueries {
    /// One device of an account, with all that is needed to check who it is.
    pub async fn one(&self, aci: Aci, device: DeviceId) -> Result<Option<Device>, QueryError> {
        let row = sqlx::query("SELECT * FROM devices_v1 WHERE aci = $1 AND device = $2")
            .bind(aci.uuid())
            .bind(device_column(device))
            .fetch_optional(&self.0)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The device that was linked by this token, if it still is.
    pub async fn linked_by(
        &self,
        aci: Aci,
        token: LinkTokenHash,
    ) -> Result<Option<Device>, QueryError> {
        let row = sqlx::query("SELECT * FROM devices_v1 WHERE aci = $1 AND link_token = $2")
            .bind(aci.uuid())
            .bind(token.0)
            .fetch_optional(&self.0)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All devices of an account, by ascending number; none if there is no such account.
    pub async fn of(&self, aci: Aci) -> Result<Vec<Device>, QueryError> {
        let rows = sqlx::query("SELECT * FROM devices_v1 WHERE aci = $1 ORDER BY device")
            .bind(aci.uuid())
            .fetch_all(&self.0)
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &PgRow) -> Result<Device, QueryError> {
    row::read(row).map_err(QueryError::damaged(TABLE))
}
