//! What is known of pre-keys as rows.

use events::ids::PreKeyId;
use events::values::keys::SignedPreKey;
use events::{Generation, PayloadId, ServiceId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::RepeatedUse;
use super::apply::{Holder, Page, Stock};
use crate::columns::{
    BoxError, bytes, column, count, device, device_column, generation, generation_column, get,
    kind_column, service_id,
};
use crate::rows;

/// Reads a row.
pub(super) fn read(row: &PgRow) -> Result<Stock, BoxError> {
    let identity = service_id(get(row, "kind")?, get(row, "identity")?)?;
    let id = |column| payload_id(row, column);
    Ok(Stock {
        holder: (
            identity,
            generation(row, "generation")?,
            device(row, "device")?,
        ),
        ec: Page {
            id: id("ec_page")?,
            total: count(row, "ec_total")?,
            left: count(row, "ec_left")?,
        },
        kyber: Page {
            id: id("kyber_page")?,
            total: count(row, "kyber_total")?,
            left: count(row, "kyber_left")?,
        },
        signed: signed(row)?,
        last_resort: id("last_resort")?,
    })
}

fn payload_id(row: &PgRow, column: &str) -> Result<Option<PayloadId>, BoxError> {
    Ok(get::<Option<Uuid>>(row, column)?.map(PayloadId))
}

fn signed(row: &PgRow) -> Result<Option<SignedPreKey>, BoxError> {
    let key_id: Option<i32> = get(row, "signed_id")?;
    let key_id = key_id
        .map(|id| Ok::<_, BoxError>(PreKeyId::try_from(u64::try_from(id)?)?))
        .transpose()?;
    let parts = (key_id, bytes(row, "signed_key")?, bytes(row, "signature")?);
    Ok(match parts {
        (Some(key_id), Some(public_key), Some(signature)) => Some(SignedPreKey {
            key_id,
            public_key,
            signature,
        }),
        _ => None,
    })
}

/// Reads the keys of a row that are handed out again and again, if both are there.
pub(super) fn repeated_use(row: &PgRow) -> Result<Option<RepeatedUse>, BoxError> {
    let both = signed(row)?.zip(payload_id(row, "last_resort")?);
    Ok(both.map(|(signed, last_resort)| RepeatedUse {
        signed,
        last_resort,
    }))
}

/// The rows of these holders, as far as there are any.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &[Holder],
) -> Result<Vec<Stock>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query(
            "SELECT k.* FROM pre_keys_v1 k
             JOIN unnest($1::smallint[], $2::uuid[], $3::smallint[], $4::bigint[])
                  AS wanted(kind, identity, device, generation) USING (kind, identity, device, generation)",
        )
        .bind(column(keys, |(identity, ..)| kind_column(*identity)))
        .bind(column(keys, |(identity, ..)| identity.uuid()))
        .bind(column(keys, |(.., device)| device_column(*device)))
        .bind(column(keys, |(_, generation, _)| generation_column(*generation)))
    })
    .await
}

/// Removes the rows of identities from before a generation.
pub(super) async fn wipe(
    connection: &mut PgConnection,
    wiped: &[(ServiceId, Generation)],
) -> Result<(), sqlx::Error> {
    rows::change(connection, wiped, || {
        sqlx::query(
                "DELETE FROM pre_keys_v1 k
                 USING unnest($1::smallint[], $2::uuid[], $3::bigint[]) AS gone(kind, identity, before)
                 WHERE k.kind = gone.kind AND k.identity = gone.identity AND k.generation < gone.before",
            )
            .bind(column(wiped, |(identity, _)| kind_column(*identity)))
            .bind(column(wiped, |(identity, _)| identity.uuid()))
            .bind(column(wiped, |(_, before)| generation_column(*before)))
    })
    .await
}

/// Inserts or replaces these rows.
pub(super) async fn store(
    connection: &mut PgConnection,
    rows: &[Stock],
) -> Result<(), sqlx::Error> {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO pre_keys_v1 (identity, generation, kind, device, ec_total, ec_left, kyber_total, kyber_left,
                                      ec_page, kyber_page, signed_id, signed_key, signature, last_resort)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::integer[], $6::integer[],
                                  $7::integer[], $8::integer[], $9::uuid[], $10::uuid[], $11::integer[],
                                  $12::bytea[], $13::bytea[], $14::uuid[])
             ON CONFLICT (kind, identity, device, generation) DO UPDATE SET
                 ec_total = excluded.ec_total, ec_left = excluded.ec_left, kyber_total = excluded.kyber_total,
                 kyber_left = excluded.kyber_left, ec_page = excluded.ec_page, kyber_page = excluded.kyber_page,
                 signed_id = excluded.signed_id, signed_key = excluded.signed_key, signature = excluded.signature,
                 last_resort = excluded.last_resort",
        )
        .bind(column(rows, |row| row.holder.0.uuid()))
        .bind(column(rows, |row| generation_column(row.holder.1)))
        .bind(column(rows, |row| kind_column(row.holder.0)))
        .bind(column(rows, |row| device_column(row.holder.2)))
        .bind(column(rows, |row| number(row.ec.total)))
        .bind(column(rows, |row| number(row.ec.left)))
        .bind(column(rows, |row| number(row.kyber.total)))
        .bind(column(rows, |row| number(row.kyber.left)))
        .bind(column(rows, |row| row.ec.id.map(|id| id.0)))
        .bind(column(rows, |row| row.kyber.id.map(|id| id.0)))
        .bind(column(rows, |row| row.signed.as_ref().map(|it| number(it.key_id.get()))))
        .bind(column(rows, |row| row.signed.as_ref().map(|it| it.public_key.as_ref())))
        .bind(column(rows, |row| row.signed.as_ref().map(|it| it.signature.as_ref())))
        .bind(column(rows, |row| row.last_resort.map(|id| id.0)))
    })
    .await
}
