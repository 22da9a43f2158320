//! Arrival messages as rows.

use events::ids::DeviceAddress;
use events::mailbox::{EnvelopeKind, MessageSource, Share};
use events::{Aci, Generation, MessageGuid, PayloadId, Pni, Position, ServiceId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Arrival, Content, InboxCursor, InboxEntry};
use crate::columns::{
    BoxError, column, device, device_column, generation_column, get, kind_column, service_id,
    timestamp,
};
use crate::copy::{CopyRow, Fields};
use crate::rows;

/// Reads a row of the mailbox at `address`.
pub(super) fn arrival(row: &PgRow, address: DeviceAddress) -> Result<Arrival, BoxError> {
    let delivered = u32::try_from(get::<i32>(row, "payload_length")?)?;
    let payload: Option<Uuid> = get(row, "payload")?;
    let share = share(row)?;
    Ok(Arrival {
        address,
        entry: entry(row)?,
        content: payload.map(|id| Content {
            id: PayloadId(id),
            length: share.map_or(delivered, |share| share.length(delivered)),
        }),
        share,
    })
}

fn share(row: &PgRow) -> Result<Option<Share>, BoxError> {
    let place = |name| get::<Option<i32>>(row, name);
    let (Some(key_material), Some(common)) = (place("key_material")?, place("common")?) else {
        return Ok(None);
    };
    Ok(Some(Share {
        key_material: u32::try_from(key_material)?,
        common: u32::try_from(common)?,
    }))
}

/// Reads what is known of a message beside its content.
pub(super) fn entry(row: &PgRow) -> Result<InboxEntry, BoxError> {
    let kind: i16 = get(row, "kind")?;
    Ok(InboxEntry {
        cursor: InboxCursor(Position(u64::try_from(get::<i64>(row, "position")?)?)),
        guid: MessageGuid::from_uuid(get(row, "guid")?),
        kind: EnvelopeKind::from_number(kind.into()).ok_or_else(|| format!("kind {kind}"))?,
        client_timestamp: timestamp(row, "client_timestamp")?,
        server_timestamp: timestamp(row, "server_timestamp")?,
        source: source(row)?,
        destination: service_id(get(row, "destination_kind")?, get(row, "destination")?)?,
        urgent: get(row, "urgent")?,
        story: get(row, "story")?,
        updated_pni: get::<Option<Uuid>>(row, "updated_pni")?.map(Pni::from_uuid),
    })
}

fn source(row: &PgRow) -> Result<Option<MessageSource>, BoxError> {
    let Some(uuid) = get::<Option<Uuid>>(row, "source")? else {
        return Ok(None);
    };
    Ok(Some(MessageSource {
        service_id: service_id(get(row, "source_kind")?, uuid)?,
        device: device(row, "source_device")?,
    }))
}

/// Removes what waits for all generations of these accounts before the given one.
pub(super) async fn wipe_accounts(
    connection: &mut PgConnection,
    accounts: &[(Aci, Generation)],
) -> Result<(), sqlx::Error> {
    rows::change(connection, accounts, || {
        sqlx::query(
            "DELETE FROM inbox_v1 m USING unnest($1::uuid[], $2::bigint[]) AS gone(aci, before)
             WHERE m.aci = gone.aci AND m.generation < gone.before",
        )
        .bind(column(accounts, |(aci, _)| aci.uuid()))
        .bind(column(accounts, |(_, before)| generation_column(*before)))
    })
    .await
}

/// Removes what waits for these devices.
pub(super) async fn wipe_devices(
    connection: &mut PgConnection,
    devices: &[DeviceAddress],
) -> Result<(), sqlx::Error> {
    rows::change(connection, devices, || {
        sqlx::query(
            "DELETE FROM inbox_v1 m
             USING unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS gone(aci, device, generation)
             WHERE m.aci = gone.aci AND m.device = gone.device AND m.generation = gone.generation",
        )
        .bind(column(devices, |it| it.aci.uuid()))
        .bind(column(devices, |it| device_column(it.device)))
        .bind(column(devices, |it| generation_column(it.generation)))
    })
    .await
}

/// Removes these messages, as far as they are there.
///
/// Only the guid is compared with `=`, which an index serves: a table that grew faster than its statistics would otherwise be
/// searched by the mailbox, all of it for each message.
pub(super) async fn remove(
    connection: &mut PgConnection,
    messages: &[(DeviceAddress, MessageGuid)],
) -> Result<(), sqlx::Error> {
    rows::change(connection, messages, || {
        sqlx::query(
            "DELETE FROM inbox_v1 m
             USING unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[])
                   AS gone(guid, aci, device, generation)
             WHERE m.guid = gone.guid AND m.aci IS NOT DISTINCT FROM gone.aci
               AND m.device IS NOT DISTINCT FROM gone.device
               AND m.generation IS NOT DISTINCT FROM gone.generation",
        )
        .bind(column(messages, |(_, guid)| guid.uuid()))
        .bind(column(messages, |(it, _)| it.aci.uuid()))
        .bind(column(messages, |(it, _)| device_column(it.device)))
        .bind(column(messages, |(it, _)| generation_column(it.generation)))
    })
    .await
}

/// Inserts these messages, except where the mailbox has one of the same guid.
pub(super) async fn insert(
    connection: &mut PgConnection,
    rows: &[&Arrival],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let source = |row: &Arrival| row.entry.source;
    let source_id = |row: &Arrival| source(row).map(|it| it.service_id);
    sqlx::query(
        "INSERT INTO inbox_v1 (position, client_timestamp, server_timestamp, generation, aci, guid, destination,
                               source, payload, updated_pni, payload_length, device, kind, destination_kind,
                               source_kind, source_device, urgent, story, key_material, common)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[],
                              $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[], $11::integer[], $12::smallint[],
                              $13::smallint[], $14::smallint[], $15::smallint[], $16::smallint[], $17::boolean[],
                              $18::boolean[], $19::integer[], $20::integer[])
         ON CONFLICT DO NOTHING",
    )
    .bind(column(rows, |row| row.entry.cursor.0.to_i64()))
    .bind(column(rows, |row| row.entry.client_timestamp.to_i64()))
    .bind(column(rows, |row| row.entry.server_timestamp.to_i64()))
    .bind(column(rows, |row| generation_column(row.address.generation)))
    .bind(column(rows, |row| row.address.aci.uuid()))
    .bind(column(rows, |row| row.entry.guid.uuid()))
    .bind(column(rows, |row| row.entry.destination.uuid()))
    .bind(column(rows, |row| source_id(row).map(ServiceId::uuid)))
    .bind(column(rows, |row| row.content.map(|content| content.id.0)))
    .bind(column(rows, |row| row.entry.updated_pni.map(Pni::uuid)))
    .bind(column(rows, |row| length(row)))
    .bind(column(rows, |row| device_column(row.address.device)))
    .bind(column(rows, |row| row.entry.kind.number()))
    .bind(column(rows, |row| kind_column(row.entry.destination)))
    .bind(column(rows, |row| source_id(row).map(kind_column)))
    .bind(column(rows, |row| source(row).map(|it| device_column(it.device))))
    .bind(column(rows, |row| row.entry.urgent))
    .bind(column(rows, |row| row.entry.story))
    .bind(column(rows, |row| row.share.map(|share| integer(share.key_material))))
    .bind(column(rows, |row| row.share.map(|share| integer(share.common))))
    .execute(connection)
    .await?;
    Ok(())
}

fn integer(bytes: u32) -> i32 {
    i32::try_from(bytes).expect("messages are far below 2 GiB")
}

/// How many bytes the device gets; 0 without any content.
fn length(row: &Arrival) -> i32 {
    integer(row.delivered())
}

impl CopyRow for Arrival {
    const COLUMNS: &'static [&'static str] = &[
        "position",
        "client_timestamp",
        "server_timestamp",
        "generation",
        "aci",
        "guid",
        "destination",
        "source",
        "payload",
        "updated_pni",
        "payload_length",
        "device",
        "kind",
        "destination_kind",
        "source_kind",
        "source_device",
        "urgent",
        "story",
        "key_material",
        "common",
    ];

    fn fields(&self, row: &mut Fields<'_>) {
        let entry = &self.entry;
        let source_id = entry.source.map(|it| it.service_id);
        row.add(entry.cursor.0.to_i64())
            .add(entry.client_timestamp.to_i64())
            .add(entry.server_timestamp.to_i64())
            .add(generation_column(self.address.generation))
            .add(self.address.aci.uuid())
            .add(entry.guid.uuid())
            .add(entry.destination.uuid())
            .add(source_id.map(ServiceId::uuid))
            .add(self.content.map(|content| content.id.0))
            .add(entry.updated_pni.map(Pni::uuid))
            .add(length(self))
            .add(device_column(self.address.device))
            .add(entry.kind.number())
            .add(kind_column(entry.destination))
            .add(source_id.map(kind_column))
            .add(entry.source.map(|it| device_column(it.device)))
            .add(entry.urgent)
            .add(entry.story)
            .add(self.share.map(|share| integer(share.key_material)))
            .add(self.share.map(|share| integer(share.common)));
    }
}
