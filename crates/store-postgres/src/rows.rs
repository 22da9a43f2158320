//! Rows of `log.events` as the port's events.

use std::borrow::Cow;

use bytes::Bytes;
use events::codec;
use events::ids::EventId;
use events::store::{Position, ReadError, Recorded, Revision};
use events::stream::{Family, StreamId};
use events::values::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// The columns that [`recorded`] reads, in their order.
macro_rules! event_columns {
    () => {
        "e.position, e.revision, e.recorded_at, e.event_id, e.family, e.type, e.stream, e.data, e.metadata"
    };
}
pub(crate) use event_columns;

/// An event from a row that starts with [`event_columns`].
pub(crate) fn recorded(row: &PgRow) -> Result<Recorded, ReadError> {
    let position = Position::from_i64(column(row, 0)?);
    let family = family_of(position, column(row, 4)?)?;
    let recorded_at: i64 = column(row, 2)?;
    Ok(Recorded {
        position,
        stream: StreamId::from_parts(family, column(row, 6)?),
        revision: Revision::from_i64(column(row, 1)?),
        id: EventId::from_uuid(column(row, 3)?),
        type_name: name_of(family, column(row, 5)?),
        data: Bytes::copy_from_slice(column(row, 7)?),
        metadata: Bytes::copy_from_slice(column(row, 8)?),
        recorded_at: Timestamp::from_i64(recorded_at)
            .map_err(|e| damaged(position, e.to_string()))?,
    })
}

/// The family of this number.
pub(crate) fn family_of(position: Position, code: i16) -> Result<Family, ReadError> {
    Family::from_code(code).ok_or_else(|| damaged(position, format!("family {code} is unknown")))
}

/// A number that a newer version gave has no name here; decoding the event will say so.
pub(crate) fn name_of(family: Family, code: i16) -> Cow<'static, str> {
    codec::type_name(family, code).map_or_else(|| format!("#{code}").into(), Cow::Borrowed)
}

pub(crate) fn damaged(position: Position, what: impl Into<String>) -> ReadError {
    ReadError::Damaged {
        position,
        what: what.into(),
    }
}

pub(crate) fn column<'r, T>(row: &'r PgRow, index: usize) -> Result<T, ReadError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(unreadable)
}

/// A failed query as the port tells it.
pub(crate) fn unreadable(error: sqlx::Error) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}
