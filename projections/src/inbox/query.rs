//! Questions about inboxes.

use std::collections::BTreeMap;

use events::ids::DeviceAddress;
use events::{Aci, MessageGuid, Position, Timestamp};
use sqlx::PgPool;
use sqlx::postgres::{PgArguments, PgRow};

use super::{InboxCursor, InboxEntry, InboxPage, PageLimits, TABLE, row};
use crate::QueryError;
use crate::columns::{BoxError, device, device_column, generation, generation_column, get};

/// Questions about inboxes.
///
/// Whoever has to be sure to see all that was accepted before a moment waits for the read model to reach that
/// position first (`Queries::head`, `Queries::caught_up`).
#[derive(Clone, Debug)]
pub struct InboxQueries(pub(crate) PgPool);

type Query = sqlx::query::Query<'static, sqlx::Postgres, PgArguments>;

/// A statement whose first three parameters are a device's address.
fn of(address: DeviceAddress, sql: &'static str) -> Query {
    sqlx::query(sql)
        .bind(address.aci.uuid())
        .bind(device_column(address.device))
        .bind(generation_column(address.generation))
}

impl InboxQueries {
    /// What was accepted after `after` (or ever), in the order of acceptance.
    pub async fn page(
        &self,
        address: DeviceAddress,
        after: Option<InboxCursor>,
        limits: PageLimits,
    ) -> Result<InboxPage, QueryError> {
        let rows = of(
            address,
            "WITH ahead AS (
                 SELECT * FROM inbox_v1
                 WHERE aci = $1 AND device = $2 AND generation = $3 AND position > $4
                 ORDER BY position LIMIT $5
             ), measured AS (
                 SELECT *, sum(payload_length) OVER (ORDER BY position) AS bytes_with_it,
                        row_number() OVER (ORDER BY position) AS place, count(*) OVER () AS seen
                 FROM ahead
             )
             SELECT * FROM measured
             WHERE place = 1 OR (place <= $5 - 1 AND bytes_with_it <= $6)
             ORDER BY position",
        )
        .bind(after.map_or(Position::START, |cursor| cursor.0).to_i64())
        .bind(i64::from(limits.rows.max(1)) + 1) // one more, to see whether there is more
        .bind(i64::try_from(limits.bytes).unwrap_or(i64::MAX))
        .fetch_all(&self.0)
        .await?;
        page(&rows, address).map_err(QueryError::damaged(TABLE))
    }

    /// The longest waiting messages of all devices, at most `limit`, as far as they were accepted before `moment`: by device,
    /// in the order of acceptance.
    ///
    /// Positions follow time, so only the head of the table is looked at. Where the clocks of nodes differ, a message may be
    /// found a little later than it could be.
    pub async fn accepted_before(
        &self,
        moment: Timestamp,
        limit: u32,
    ) -> Result<BTreeMap<DeviceAddress, Vec<MessageGuid>>, QueryError> {
        let rows = sqlx::query(
            "SELECT aci, device, generation, guid
             FROM (SELECT * FROM inbox_v1 ORDER BY position LIMIT $2) AS eldest
             WHERE server_timestamp < $1 ORDER BY position",
        )
        .bind(moment.to_i64())
        .bind(i64::from(limit))
        .fetch_all(&self.0)
        .await?;
        let mut found: BTreeMap<DeviceAddress, Vec<MessageGuid>> = BTreeMap::new();
        for row in &rows {
            let (address, guid) = owner(row).map_err(QueryError::damaged(TABLE))?;
            found.entry(address).or_default().push(guid);
        }
        Ok(found)
    }

    /// How many messages wait.
    pub async fn count(&self, address: DeviceAddress) -> Result<u64, QueryError> {
        let count = of(
            address,
            "SELECT count(*) AS count FROM inbox_v1 WHERE aci = $1 AND device = $2 AND generation = $3",
        );
        let row = count.fetch_one(&self.0).await?;
        let count: i64 = get(&row, "count").map_err(QueryError::damaged(TABLE))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Whether any message waits.
    pub async fn has_any(&self, address: DeviceAddress) -> Result<bool, QueryError> {
        Ok(self.newest(address).await?.is_some())
    }

    /// Whether anything waits that was accepted at this moment or before.
    pub async fn has_from_before(
        &self,
        address: DeviceAddress,
        at: Timestamp,
    ) -> Result<bool, QueryError> {
        let older = of(
            address,
            "SELECT 1 FROM inbox_v1 WHERE aci = $1 AND device = $2 AND generation = $3 AND server_timestamp <= $4
             LIMIT 1",
        );
        let found = older.bind(at.to_i64()).fetch_optional(&self.0).await?;
        Ok(found.is_some())
    }

    /// The place of the newest message at this moment; `None` if none waits.
    pub async fn newest(&self, address: DeviceAddress) -> Result<Option<InboxCursor>, QueryError> {
        let newest = of(
            address,
            "SELECT position FROM inbox_v1 WHERE aci = $1 AND device = $2 AND generation = $3
             ORDER BY position DESC LIMIT 1",
        );
        let row = newest.fetch_optional(&self.0).await?;
        let position: Option<i64> = row
            .map(|row| get(&row, "position").map_err(QueryError::damaged(TABLE)))
            .transpose()?;
        Ok(position.map(|position| InboxCursor(Position::from_i64(position))))
    }

    /// One waiting message, without its content. Looked for by its guid alone, however full the mailbox is.
    pub async fn by_guid(
        &self,
        address: DeviceAddress,
        guid: MessageGuid,
    ) -> Result<Option<InboxEntry>, QueryError> {
        let message = of(
            address,
            "SELECT * FROM inbox_v1 WHERE aci IS NOT DISTINCT FROM $1 AND device IS NOT DISTINCT FROM $2
             AND generation IS NOT DISTINCT FROM $3 AND guid = $4",
        );
        let row = message.bind(guid.uuid()).fetch_optional(&self.0).await?;
        row.as_ref()
            .map(row::entry)
            .transpose()
            .map_err(QueryError::damaged(TABLE))
    }
}

fn owner(row: &PgRow) -> Result<(DeviceAddress, MessageGuid), BoxError> {
    let address = DeviceAddress {
        aci: Aci::from_uuid(get(row, "aci")?),
        device: device(row, "device")?,
        generation: generation(row, "generation")?,
    };
    Ok((address, MessageGuid::from_uuid(get(row, "guid")?)))
}

fn page(rows: &[PgRow], address: DeviceAddress) -> Result<InboxPage, BoxError> {
    let seen = match rows.first() {
        Some(row) => get::<i64>(row, "seen")?,
        None => 0,
    };
    let messages: Result<Vec<_>, _> = rows.iter().map(|row| row::arrival(row, address)).collect();
    Ok(InboxPage {
        messages: messages?,
        more: seen > i64::try_from(rows.len())?,
    })
}
