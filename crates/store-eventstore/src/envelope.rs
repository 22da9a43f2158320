//! Our events in the cluster's form.
//!
//! Data is stored as it is. Custom metadata is `{"at":<milliseconds>,"m":<our metadata>}`: the client cuts the server's
//! own time to whole seconds, so each event carries ours. Our metadata comes back byte by byte as it went in.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use events::codec::{type_code, type_name};
use events::{
    EventId, Family, NewEvent, Position, ReadError, Recorded, Revision, StreamId, Timestamp,
};
use eventstore::{EventData, RecordedEvent};
use serde_json::value::RawValue;

const AT: &[u8] = b"{\"at\":";
const METADATA: &[u8] = b",\"m\":";
const END: &[u8] = b"}";
/// The digits of the latest time that a `u64` holds.
const DIGITS: usize = 20;
/// What a UUID, the type's name and the fields around them add to an event on the wire, generously.
const OVERHEAD: usize = 256;

/// How many bytes of a request the event takes.
pub(crate) fn size(event: &NewEvent) -> usize {
    event.data.len() + event.metadata.len() + OVERHEAD
}

/// The event as the client sends it.
pub(crate) fn to_event_data(event: &NewEvent, at: Timestamp) -> EventData {
    let data = match serde_json::from_slice::<&RawValue>(&event.data) {
        // The server and its tools show JSON only if it is marked as such. Space around it would be lost.
        Ok(json) if json.get().len() == event.data.len() => {
            EventData::json(event.type_name, &json).expect("JSON serialises as itself")
        }
        _ => EventData::binary(event.type_name, event.data.clone()),
    };
    data.id(event.id.uuid()).metadata(wrap(&event.metadata, at))
}

fn wrap(metadata: &[u8], at: Timestamp) -> Bytes {
    let around = AT.len() + DIGITS + METADATA.len() + END.len();
    let mut bytes = BytesMut::with_capacity(metadata.len() + around);
    bytes.put(AT);
    bytes.put(at.epoch_millis().to_string().as_bytes());
    if !metadata.is_empty() {
        bytes.put(METADATA);
        bytes.put(metadata);
    }
    bytes.put(END);
    bytes.freeze()
}

fn unwrap(wrapped: &Bytes) -> Option<(Bytes, Timestamp)> {
    let inner = wrapped.strip_prefix(AT)?.strip_suffix(END)?;
    let digits = inner
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (millis, rest) = inner.split_at(digits);
    let millis = std::str::from_utf8(millis).ok()?.parse().ok()?;
    let at = Timestamp::from_epoch_millis(millis).ok()?;
    let metadata = if rest.is_empty() {
        Bytes::new()
    } else {
        wrapped.slice_ref(rest.strip_prefix(METADATA)?)
    };
    Some((metadata, at))
}

/// Whether the stream is one of ours; the cluster holds others.
pub(crate) fn family(stream: &str) -> Option<Family> {
    stream.split_once('-')?.0.parse().ok()
}

/// The one number that a position of ours is. The protocol has two; they differ only in transactions of a kind that
/// servers no longer write.
pub(crate) fn position(position: eventstore::Position) -> Option<Position> {
    (position.commit == position.prepare).then_some(Position(position.commit))
}

/// Reads what [`to_event_data`] made.
pub(crate) fn to_recorded(event: &RecordedEvent) -> Result<Recorded, ReadError> {
    let damaged = |what: String| ReadError::Damaged {
        position: Position(event.position.commit),
        what,
    };
    let stream: StreamId = event
        .stream_id
        .parse()
        .map_err(|_| damaged(format!("{:?} is not a stream of this log", event.stream_id)))?;
    let position = position(event.position)
        .ok_or_else(|| damaged(format!("{} is not one position but two", event.position)))?;
    let (metadata, recorded_at) = unwrap(&event.custom_metadata)
        .ok_or_else(|| damaged("its metadata was not written by this store".to_owned()))?;
    let known = type_code(stream.family(), &event.event_type);
    let known = known.and_then(|code| type_name(stream.family(), code));
    Ok(Recorded {
        position,
        stream,
        revision: Revision(event.revision),
        id: EventId::from_uuid(event.id),
        type_name: known.map_or_else(|| Cow::Owned(event.event_type.clone()), Cow::Borrowed),
        data: event.data.clone(),
        metadata,
        recorded_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_back_as_it_went_in() {
        let at = Timestamp::from_epoch_millis(1_767_225_600_123).unwrap();
        for metadata in [
            "",
            "{}",
            r#"{"actor":"}","m":1 , "at":2}"#,
            " null ",
            "not JSON",
        ] {
            let wrapped = wrap(metadata.as_bytes(), at);
            assert_eq!(
                unwrap(&wrapped),
                Some((Bytes::from(metadata), at)),
                "{metadata:?}"
            );
        }
    }

    #[test]
    fn what_is_stored_is_json_again() {
        let at = Timestamp::from_epoch_millis(7).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&wrap(br#"{"a": [1]}"#, at)).unwrap();
        assert_eq!(json, serde_json::json!({ "at": 7, "m": { "a": [1] } }));
    }

    #[test]
    fn foreign_metadata_is_not_taken_for_ours() {
        for foreign in [
            "",
            "{}",
            r#"{"at":"x"}"#,
            r#"{"at":1,"n":2}"#,
            r#"{"at":1"#,
            r#"{"at":}"#,
        ] {
            assert_eq!(unwrap(&Bytes::from(foreign)), None, "{foreign}");
        }
    }
}
