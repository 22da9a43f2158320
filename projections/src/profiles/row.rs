//! Versions of profiles as rows.

use events::values::profile::{AvatarKey, ProfileVersion};
use events::{Aci, PayloadId, Revision};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::apply::{Key, Version};
use crate::columns::{BoxError, bytes, column, get};
use crate::rows;

/// A version as Postgres keeps it: 32 bytes; none for the profile of clients that know no versions.
pub(super) fn version_column(version: Option<ProfileVersion>) -> Vec<u8> {
    version.map_or_else(Vec::new, |version| version.as_bytes().to_vec())
}

fn version(row: &PgRow) -> Result<Option<ProfileVersion>, BoxError> {
    let stored: Vec<u8> = get(row, "version")?;
    if stored.is_empty() {
        return Ok(None);
    }
    let bytes = stored.as_slice().try_into()?;
    Ok(Some(ProfileVersion::from_bytes(bytes)))
}

/// Reads a row.
pub(super) fn read(row: &PgRow) -> Result<Version, BoxError> {
    let fields: Option<Uuid> = get(row, "fields")?;
    let written: Option<i64> = get(row, "written")?;
    let avatar: Option<String> = get(row, "avatar")?;
    Ok(Version {
        key: (Aci::from_uuid(get(row, "aci")?), version(row)?),
        written: written
            .map(|revision| u64::try_from(revision).map(Revision))
            .transpose()?,
        fields: fields.map(PayloadId),
        commitment: bytes(row, "commitment")?,
        avatar: avatar.map(AvatarKey::try_from).transpose()?,
    })
}

/// The rows of these versions, as far as there are any.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<Vec<Version>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query(
            "SELECT p.* FROM profiles_v1 p
             JOIN unnest($1::uuid[], $2::bytea[]) AS wanted(aci, version) USING (aci, version)",
        )
        .bind(column(keys, |(aci, _)| aci.uuid()))
        .bind(column(keys, |(_, version)| version_column(*version)))
    })
    .await
}

/// Removes all versions of these accounts.
pub(super) async fn clear(connection: &mut PgConnection, acis: &[Aci]) -> Result<(), sqlx::Error> {
    rows::change(connection, acis, || {
        sqlx::query("DELETE FROM profiles_v1 WHERE aci = ANY($1)")
            .bind(column(acis, |aci| aci.uuid()))
    })
    .await
}

/// Removes the rows of these versions, as far as there are any.
pub(super) async fn delete(
    connection: &mut PgConnection,
    versions: &[Version],
) -> Result<(), sqlx::Error> {
    rows::change(connection, versions, || {
        sqlx::query(
            "DELETE FROM profiles_v1 p USING unnest($1::uuid[], $2::bytea[]) AS gone(aci, version)
             WHERE p.aci = gone.aci AND p.version = gone.version",
        )
        .bind(column(versions, |version| version.key.0.uuid()))
        .bind(column(versions, |version| version_column(version.key.1)))
    })
    .await
}

/// Inserts or replaces these rows.
pub(super) async fn store(
    connection: &mut PgConnection,
    rows: &[Version],
) -> Result<(), sqlx::Error> {
    let revision = |revision: Revision| i64::try_from(revision.0).unwrap_or(i64::MAX);
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO profiles_v1 (aci, written, fields, version, commitment, avatar)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[], $5::bytea[], $6::text[])
             ON CONFLICT (aci, version) DO UPDATE SET
                 written = excluded.written, fields = excluded.fields, commitment = excluded.commitment,
                 avatar = excluded.avatar",
        )
        .bind(column(rows, |row| row.key.0.uuid()))
        .bind(column(rows, |row| row.written.map(revision)))
        .bind(column(rows, |row| row.fields.map(|fields| fields.0)))
        .bind(column(rows, |row| version_column(row.key.1)))
        .bind(column(rows, |row| row.commitment.as_ref().map(AsRef::as_ref)))
        .bind(column(rows, |row| row.avatar.map(String::from)))
    })
    .await
}
