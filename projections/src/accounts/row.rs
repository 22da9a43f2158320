//! Accounts as rows.

use std::collections::BTreeMap;

use events::account::{BackupRequests, IdentityKeys};
use events::values::profile::ZkCredentialKey;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{Aci, DeviceId, E164, LinkHandle, Pni};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::Username;
use super::apply::{AccountRow, Reach};
use crate::columns::{BoxError, bytes, column, device_column, get, joined, timestamp};
use crate::copy::{CopyRow, Fields};
use crate::rows;

pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &[Aci],
) -> Result<Vec<AccountRow>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query("SELECT * FROM accounts_v1 WHERE aci = ANY($1)")
            .bind(column(keys, |aci| aci.uuid()))
    })
    .await
}

/// Reads a row. Its number is taken as it stands: it was valid when it came.
pub(super) fn read(row: &PgRow) -> Result<AccountRow, BoxError> {
    let storage: Vec<i16> = get(row, "storage_devices")?;
    let number: Option<String> = get(row, "number")?;
    Ok(AccountRow {
        aci: Aci::from_uuid(get(row, "aci")?),
        pni: Pni::from_uuid(get(row, "pni")?),
        registered_at: timestamp(row, "registered_at")?,
        number: number.as_deref().map(E164::stored).transpose()?,
        identity: IdentityKeys {
            aci: bytes(row, "aci_identity_key")?,
            pni: bytes(row, "pni_identity_key")?,
        },
        reach: Reach {
            access_key: bytes(row, "access_key")?,
            unrestricted: get(row, "unrestricted")?,
            discoverable: get(row, "discoverable")?,
        },
        username: username(row)?,
        totp_keys: totp_keys(row)?,
        zk_credential: zk_credential(row)?,
        backup: BackupRequests {
            messages: bytes(row, "backup_messages")?,
            media: bytes(row, "backup_media")?,
        },
        storage_devices: storage
            .into_iter()
            .map(|id| Ok(DeviceId::try_from(u32::try_from(id)?)?))
            .collect::<Result<_, BoxError>>()?,
    })
}

pub(super) async fn delete(connection: &mut PgConnection, keys: &[Aci]) -> Result<(), sqlx::Error> {
    rows::change(connection, keys, || {
        sqlx::query("DELETE FROM accounts_v1 WHERE aci = ANY($1)")
            .bind(column(keys, |aci| aci.uuid()))
    })
    .await
}

pub(super) async fn store(
    connection: &mut PgConnection,
    rows: &[AccountRow],
) -> Result<(), sqlx::Error> {
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO accounts_v1 (aci, pni, registered_at, unrestricted, discoverable, storage_devices, number,
                                      aci_identity_key, pni_identity_key, access_key,
                                      username_hash, link_handle, link_value, totp_keys,
                                      zk_credential_key, zk_rotation_id, backup_messages, backup_media)
             SELECT aci, pni, registered_at, unrestricted, discoverable,
                    string_to_array(storage_devices, ',')::smallint[], number,
                    aci_identity_key, pni_identity_key, access_key,
                    username_hash, link_handle, link_value, totp_keys, zk_credential_key, zk_rotation_id,
                    backup_messages, backup_media
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[], $5::boolean[], $6::text[], $7::text[],
                         $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::uuid[], $13::bytea[], $14::text[],
                         $15::bytea[], $16::bigint[], $17::bytea[], $18::bytea[])
                  AS t(aci, pni, registered_at, unrestricted, discoverable, storage_devices, number,
                       aci_identity_key, pni_identity_key, access_key,
                       username_hash, link_handle, link_value, totp_keys, zk_credential_key, zk_rotation_id,
                       backup_messages, backup_media)
             ON CONFLICT (aci) DO UPDATE SET
                 pni = excluded.pni, registered_at = excluded.registered_at, unrestricted = excluded.unrestricted,
                 discoverable = excluded.discoverable, storage_devices = excluded.storage_devices,
                 number = excluded.number, aci_identity_key = excluded.aci_identity_key,
                 pni_identity_key = excluded.pni_identity_key, access_key = excluded.access_key,
                 username_hash = excluded.username_hash, link_handle = excluded.link_handle,
                 link_value = excluded.link_value, totp_keys = excluded.totp_keys,
                 zk_credential_key = excluded.zk_credential_key, zk_rotation_id = excluded.zk_rotation_id,
                 backup_messages = excluded.backup_messages, backup_media = excluded.backup_media",
        )
        .bind(column(rows, |row| row.aci.uuid()))
        .bind(column(rows, |row| row.pni.uuid()))
        .bind(column(rows, |row| row.registered_at.to_i64()))
        .bind(column(rows, |row| row.reach.unrestricted))
        .bind(column(rows, |row| row.reach.discoverable))
        .bind(column(rows, |row| joined(row.storage_devices.iter().copied().map(device_column))))
        .bind(column(rows, |row| row.number.as_ref().map(E164::as_str)))
        .bind(column(rows, |row| row.identity.aci.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.identity.pni.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.reach.access_key.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.username.as_ref().map(|it| it.hash.as_ref())))
        .bind(column(rows, |row| link(row).map(|(handle, _)| handle.uuid())))
        .bind(column(rows, |row| link(row).map(|(_, value)| value.as_ref())))
        .bind(column(rows, |row| totp_column(&row.totp_keys)))
        .bind(column(rows, |row| row.zk_credential.as_ref().map(|(key, _)| key.as_ref())))
        .bind(column(rows, |row| row.zk_credential.as_ref().map(|(_, id)| id.cast_signed())))
        .bind(column(rows, |row| row.backup.messages.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.backup.media.as_ref().map(AsRef::as_ref)))
    })
    .await
}

impl CopyRow for AccountRow {
    const COLUMNS: &'static [&'static str] = &[
        "aci",
        "pni",
        "registered_at",
        "unrestricted",
        "discoverable",
        "storage_devices",
        "number",
        "aci_identity_key",
        "pni_identity_key",
        "access_key",
        "username_hash",
        "link_handle",
        "link_value",
        "totp_keys",
        "zk_credential_key",
        "zk_rotation_id",
        "backup_messages",
        "backup_media",
    ];

    fn fields(&self, row: &mut Fields<'_>) {
        // Every field by name: a new one must not be forgotten here.
        let Self {
            aci,
            pni,
            registered_at,
            number,
            identity,
            reach,
            username,
            totp_keys,
            zk_credential,
            backup,
            storage_devices,
        } = self;
        let storage = storage_devices.iter().copied().map(device_column);
        row.add(aci.uuid())
            .add(pni.uuid())
            .add(registered_at.to_i64())
            .add(reach.unrestricted)
            .add(reach.discoverable)
            .add(storage.collect::<Vec<_>>())
            .add(number.as_ref().map(E164::as_str))
            .add(slice(identity.aci.as_ref()))
            .add(slice(identity.pni.as_ref()))
            .add(slice(reach.access_key.as_ref()))
            .add(username.as_ref().map(|it| -> &[u8] { it.hash.as_ref() }))
            .add(link(self).map(|(handle, _)| handle.uuid()))
            .add(slice(link(self).map(|(_, value)| value)))
            .add(&*totp_column(totp_keys))
            .add(slice(zk_credential.as_ref().map(|(key, _)| key)))
            .add(zk_credential.as_ref().map(|(_, id)| id.cast_signed()))
            .add(slice(backup.messages.as_ref()))
            .add(slice(backup.media.as_ref()));
    }
}

/// The bytes of a value, if there is one.
fn slice<T: AsRef<[u8]>>(value: Option<&T>) -> Option<&[u8]> {
    value.map(AsRef::as_ref)
}

fn username(row: &PgRow) -> Result<Option<Username>, BoxError> {
    let Some(hash) = bytes::<UsernameHash>(row, "username_hash")? else {
        return Ok(None);
    };
    let handle: Option<uuid::Uuid> = get(row, "link_handle")?;
    let value: Option<EncryptedUsername> = bytes(row, "link_value")?;
    let link = handle.map(LinkHandle::from_uuid).zip(value);
    Ok(Some(Username { hash, link }))
}

fn link(row: &AccountRow) -> Option<&(LinkHandle, EncryptedUsername)> {
    row.username.as_ref().and_then(|it| it.link.as_ref())
}

fn totp_column(keys: &BTreeMap<TotpKeyId, Option<TotpMetadata>>) -> String {
    let keys: Vec<_> = keys.iter().collect();
    serde_json::to_string(&keys).expect("numbers and texts are plain data")
}

fn totp_keys(row: &PgRow) -> Result<BTreeMap<TotpKeyId, Option<TotpMetadata>>, BoxError> {
    let keys: String = get(row, "totp_keys")?;
    let keys: Vec<(TotpKeyId, Option<TotpMetadata>)> = serde_json::from_str(&keys)?;
    Ok(keys.into_iter().collect())
}

/// The column holds the bits of the number.
fn zk_credential(row: &PgRow) -> Result<Option<(ZkCredentialKey, u64)>, BoxError> {
    let key: Option<ZkCredentialKey> = bytes(row, "zk_credential_key")?;
    let rotation: Option<i64> = get(row, "zk_rotation_id")?;
    Ok(key.zip(rotation.map(i64::cast_unsigned)))
}
