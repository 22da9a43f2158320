//! Devices as rows.

use events::account::PushToken;
use events::values::hashes::SaltedHash;
use events::values::{Capability, Redacted};
use events::{Aci, DeviceId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::{Device, OfferedArchive};
use crate::columns::{
    BoxError, bytes, column, device, device_column, generation, generation_column, get, joined,
    optional_timestamp, registration_column, registration_id, timestamp,
};
use crate::copy::{CopyRow, Fields};
use crate::rows;

const APN: &str = "apn";
const FCM: &str = "fcm";

/// Reads a row.
pub(super) fn read(row: &PgRow) -> Result<Device, BoxError> {
    let capabilities: Vec<String> = get(row, "capabilities")?;
    let capability = |name: &String| {
        Capability::from_name(name).ok_or_else(|| format!("capability {name:?}").into())
    };
    Ok(Device {
        aci: Aci::from_uuid(get(row, "aci")?),
        id: device(row, "device")?,
        generation: generation(row, "generation")?,
        registration_id: registration_id(row, "registration_id")?.ok_or("no registration id")?,
        pni_registration_id: registration_id(row, "pni_registration_id")?,
        credential: credential(row)?,
        name: bytes(row, "name")?,
        fetches_messages: get(row, "fetches_messages")?,
        capabilities: capabilities
            .iter()
            .map(capability)
            .collect::<Result<_, BoxError>>()?,
        agent: get::<Option<String>>(row, "agent")?.map(Into::into),
        push: push(row)?.map(Redacted),
        linked_at: timestamp(row, "linked_at")?,
        last_seen: timestamp(row, "last_seen")?,
        created_at: bytes(row, "created_at")?,
        link_token: bytes(row, "link_token")?,
        archive: archive(row)?,
    })
}

fn archive(row: &PgRow) -> Result<Option<OfferedArchive>, BoxError> {
    let archive: Option<String> = get(row, "archive")?;
    let at = optional_timestamp(row, "archive_at")?;
    let offered = archive.zip(at).map(|(archive, at)| {
        let archive = serde_json::from_str(&archive).map(Redacted)?;
        Ok(OfferedArchive { archive, at })
    });
    offered.transpose()
}

fn archive_column(device: &Device) -> Option<String> {
    let Redacted(archive) = &device.archive.as_ref()?.archive;
    Some(serde_json::to_string(archive).expect("archives are plain data"))
}

fn credential(row: &PgRow) -> Result<Option<SaltedHash>, BoxError> {
    let salt: Option<String> = get(row, "credential_salt")?;
    let hash: Option<String> = get(row, "credential_hash")?;
    Ok(salt.zip(hash).map(|(salt, hash)| SaltedHash {
        salt: salt.into(),
        hash: hash.into(),
    }))
}

fn push(row: &PgRow) -> Result<Option<PushToken>, BoxError> {
    let service: Option<String> = get(row, "push_service")?;
    let token: Option<String> = get(row, "push_token")?;
    match (service.as_deref(), token) {
        (None, None) => Ok(None),
        (Some(APN), Some(token)) => Ok(Some(PushToken::Apn(token.into()))),
        (Some(FCM), Some(token)) => Ok(Some(PushToken::Fcm(token.into()))),
        (service, _) => Err(format!("push service {service:?} does not go with its token").into()),
    }
}

/// The service and the token.
fn push_columns(device: &Device) -> (Option<&'static str>, Option<&str>) {
    match &device.push {
        None => (None, None),
        Some(Redacted(PushToken::Apn(token))) => (Some(APN), Some(token)),
        Some(Redacted(PushToken::Fcm(token))) => (Some(FCM), Some(token)),
    }
}

/// The rows of these devices, as far as there are any.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &[(Aci, DeviceId)],
) -> Result<Vec<Device>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query(
            "SELECT d.* FROM devices_v1 d
             JOIN unnest($1::uuid[], $2::smallint[]) AS wanted(aci, device) USING (aci, device)",
        )
        .bind(column(keys, |(aci, _)| aci.uuid()))
        .bind(column(keys, |(_, device)| device_column(*device)))
    })
    .await
}

/// Removes all devices of these accounts.
pub(super) async fn wipe(
    connection: &mut PgConnection,
    accounts: &[Aci],
) -> Result<(), sqlx::Error> {
    rows::change(connection, accounts, || {
        sqlx::query("DELETE FROM devices_v1 WHERE aci = ANY($1)")
            .bind(column(accounts, |aci| aci.uuid()))
    })
    .await
}

/// Voids the passwords of all devices of these accounts.
pub(super) async fn lock(
    connection: &mut PgConnection,
    accounts: &[Aci],
) -> Result<(), sqlx::Error> {
    rows::change(connection, accounts, || {
        sqlx::query("UPDATE devices_v1 SET credential_salt = NULL, credential_hash = NULL WHERE aci = ANY($1)")
            .bind(column(accounts, |aci| aci.uuid()))
    })
    .await
}

/// Removes these devices.
pub(super) async fn delete(
    connection: &mut PgConnection,
    keys: &[(Aci, DeviceId)],
) -> Result<(), sqlx::Error> {
    rows::change(connection, keys, || {
        sqlx::query(
            "DELETE FROM devices_v1 d USING unnest($1::uuid[], $2::smallint[]) AS gone(aci, device)
             WHERE d.aci = gone.aci AND d.device = gone.device",
        )
        .bind(column(keys, |(aci, _)| aci.uuid()))
        .bind(column(keys, |(_, device)| device_column(*device)))
    })
    .await
}

/// Inserts or replaces these devices.
pub(super) async fn store(
    connection: &mut PgConnection,
    rows: &[Device],
) -> Result<(), sqlx::Error> {
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO devices_v1 (aci, linked_at, generation, device, registration_id, pni_registration_id,
                                     fetches_messages, credential_salt, credential_hash, capabilities, name, agent,
                                     push_service, push_token, last_seen, created_at, link_token, archive, archive_at)
             SELECT aci, linked_at, generation, device, registration_id, pni_registration_id,
                    fetches_messages, credential_salt, credential_hash, string_to_array(capabilities, ','), name, agent,
                    push_service, push_token, last_seen, created_at, link_token, archive, archive_at
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[], $6::smallint[],
                         $7::boolean[], $8::text[], $9::text[], $10::text[], $11::bytea[], $12::text[],
                         $13::text[], $14::text[], $15::bigint[], $16::bytea[], $17::bytea[], $18::text[],
                         $19::bigint[])
                  AS t(aci, linked_at, generation, device, registration_id, pni_registration_id,
                       fetches_messages, credential_salt, credential_hash, capabilities, name, agent,
                       push_service, push_token, last_seen, created_at, link_token, archive, archive_at)
             ON CONFLICT (aci, device) DO UPDATE SET
                 linked_at = excluded.linked_at, generation = excluded.generation,
                 registration_id = excluded.registration_id, pni_registration_id = excluded.pni_registration_id,
                 fetches_messages = excluded.fetches_messages, credential_salt = excluded.credential_salt,
                 credential_hash = excluded.credential_hash, capabilities = excluded.capabilities,
                 name = excluded.name, agent = excluded.agent,
                 push_service = excluded.push_service, push_token = excluded.push_token,
                 last_seen = excluded.last_seen, created_at = excluded.created_at, link_token = excluded.link_token,
                 archive = excluded.archive, archive_at = excluded.archive_at",
        )
        .bind(column(rows, |row| row.aci.uuid()))
        .bind(column(rows, |row| row.linked_at.to_i64()))
        .bind(column(rows, |row| generation_column(row.generation)))
        .bind(column(rows, |row| device_column(row.id)))
        .bind(column(rows, |row| registration_column(row.registration_id)))
        .bind(column(rows, |row| row.pni_registration_id.map(registration_column)))
        .bind(column(rows, |row| row.fetches_messages))
        .bind(column(rows, |row| row.credential.as_ref().map(|it| &*it.salt)))
        .bind(column(rows, |row| row.credential.as_ref().map(|it| &*it.hash)))
        .bind(column(rows, |row| joined(row.capabilities.iter().map(|it| it.name()))))
        .bind(column(rows, |row| row.name.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.agent.as_deref()))
        .bind(column(rows, |row| push_columns(row).0))
        .bind(column(rows, |row| push_columns(row).1))
        .bind(column(rows, |row| row.last_seen.to_i64()))
        .bind(column(rows, |row| row.created_at.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.link_token.map(|token| token.0)))
        .bind(column(rows, archive_column))
        .bind(column(rows, |row| row.archive.as_ref().map(|it| it.at.to_i64())))
    })
    .await
}

impl CopyRow for Device {
    const COLUMNS: &'static [&'static str] = &[
        "aci",
        "linked_at",
        "generation",
        "device",
        "registration_id",
        "pni_registration_id",
        "fetches_messages",
        "credential_salt",
        "credential_hash",
        "capabilities",
        "name",
        "agent",
        "push_service",
        "push_token",
        "last_seen",
        "created_at",
        "link_token",
        "archive",
        "archive_at",
    ];

    fn fields(&self, row: &mut Fields<'_>) {
        let (service, token) = push_columns(self);
        row.add(self.aci.uuid())
            .add(self.linked_at.to_i64())
            .add(generation_column(self.generation))
            .add(device_column(self.id))
            .add(registration_column(self.registration_id))
            .add(self.pni_registration_id.map(registration_column))
            .add(self.fetches_messages)
            .add(self.credential.as_ref().map(|it| &*it.salt))
            .add(self.credential.as_ref().map(|it| &*it.hash))
            .add(
                self.capabilities
                    .iter()
                    .map(|it| it.name())
                    .collect::<Vec<_>>(),
            )
            .add(self.name.as_ref().map(|name| -> &[u8] { name.as_ref() }))
            .add(self.agent.as_deref())
            .add(service)
            .add(token)
            .add(self.last_seen.to_i64())
            .add(self.created_at.as_ref().map(|it| -> &[u8] { it.as_ref() }))
            .add(self.link_token.as_ref().map(|it| -> &[u8] { &it.0 }))
            .add(archive_column(self).as_deref())
            .add(self.archive.as_ref().map(|it| it.at.to_i64()));
    }
}
