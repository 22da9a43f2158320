//! Values as columns, and back.

use std::error::Error;

use events::ids::IdentityKind;
use events::{Aci, DeviceId, Generation, Pni, RegistrationId, ServiceId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};
use uuid::Uuid;

/// What is wrong with a column.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// 0 for an ACI, 1 for a PNI.
pub(crate) const fn kind_column(id: ServiceId) -> i16 {
    match id.kind() {
        IdentityKind::Aci => 0,
        IdentityKind::Pni => 1,
    }
}

/// The id of a kind ([`kind_column`]) and a UUID.
pub(crate) fn service_id(kind: i16, uuid: Uuid) -> Result<ServiceId, BoxError> {
    match kind {
        0 => Ok(Aci::from_uuid(uuid).into()),
        1 => Ok(Pni::from_uuid(uuid).into()),
        other => Err(format!("identity kind {other}").into()),
    }
}

/// A device id as Postgres keeps it.
pub(crate) fn device_column(device: DeviceId) -> i16 {
    device.get().into()
}

/// A registration id as Postgres keeps it.
pub(crate) fn registration_column(id: RegistrationId) -> i16 {
    i16::try_from(id.get()).expect("registration ids have 14 bits")
}

/// A generation as Postgres keeps it.
pub(crate) fn generation_column(generation: Generation) -> i64 {
    generation.0.into()
}

/// A row's column in the type it is kept in.
pub(crate) fn get<'r, T>(row: &'r PgRow, column: &str) -> Result<T, BoxError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(row.try_get(column)?)
}

/// Reads a device id.
pub(crate) fn device(row: &PgRow, column: &str) -> Result<DeviceId, BoxError> {
    Ok(DeviceId::try_from(u32::try_from(get::<i16>(
        row, column,
    )?)?)?)
}

/// Reads a generation.
pub(crate) fn generation(row: &PgRow, column: &str) -> Result<Generation, BoxError> {
    Ok(Generation(u32::try_from(get::<i64>(row, column)?)?))
}

/// Reads a registration id.
pub(crate) fn registration_id(
    row: &PgRow,
    column: &str,
) -> Result<Option<RegistrationId>, BoxError> {
    let stored: Option<i16> = get(row, column)?;
    stored
        .map(|id| Ok(RegistrationId::try_from(u32::try_from(id)?)?))
        .transpose()
}

/// Reads a moment.
pub(crate) fn timestamp(row: &PgRow, column: &str) -> Result<Timestamp, BoxError> {
    Ok(Timestamp::from_i64(get(row, column)?)?)
}

/// Reads a moment that may not have come.
pub(crate) fn optional_timestamp(row: &PgRow, column: &str) -> Result<Option<Timestamp>, BoxError> {
    let millis: Option<i64> = get(row, column)?;
    Ok(millis.map(Timestamp::from_i64).transpose()?)
}

/// Reads a count.
pub(crate) fn count(row: &PgRow, column: &str) -> Result<u32, BoxError> {
    Ok(u32::try_from(get::<i32>(row, column)?)?)
}

/// Reads a value made of bytes.
pub(crate) fn bytes<T>(row: &PgRow, column: &str) -> Result<Option<T>, BoxError>
where
    T: TryFrom<Vec<u8>, Error: Into<BoxError>>,
{
    let bytes: Option<Vec<u8>> = get(row, column)?;
    bytes
        .map(|bytes| T::try_from(bytes).map_err(Into::into))
        .transpose()
}

/// Each element's column, for `UNNEST`.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// A list as one text, which `string_to_array(…, ',')` takes apart: `UNNEST` knows no lists of different lengths.
pub(crate) fn joined(items: impl IntoIterator<Item: std::fmt::Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}
