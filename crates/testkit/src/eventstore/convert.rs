//! Between the port's values and the protocol's.

use std::collections::HashMap;

use events::codec::{type_code, type_name};
use events::{EventId, Expected, NewEvent, Position, Recorded, Revision, StreamId};
use tonic::{Code, Status};
use uuid::Uuid;

use super::wire::streams::read_resp::read_event::{self, RecordedEvent};
use super::wire::streams::read_resp::{Content, ReadEvent};
use super::wire::streams::{ProposedMessage, ReadResp, batch_append_req, stream_state};
use super::wire::{AllStreamPosition, Empty, StreamIdentifier, uuid as wire_uuid};

/// 100 ns.
const TICKS_PER_MILLI: u64 = 10_000;

/// Where a writer believes a stream to stand; one value more than the port has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    As(Expected),
    Exists,
}

pub(super) fn stream_id(identifier: Option<StreamIdentifier>) -> Result<StreamId, Status> {
    let name = identifier.unwrap_or_default().stream_name;
    let name = std::str::from_utf8(&name)
        .map_err(|_| Status::invalid_argument("a stream's name is UTF-8"))?;
    let foreign = |_| Status::invalid_argument(format!("the double keeps no stream {name}"));
    name.parse().map_err(foreign)
}

pub(super) fn identifier(stream: &StreamId) -> StreamIdentifier {
    StreamIdentifier {
        stream_name: stream.to_string().into(),
    }
}

/// How far apart two positions of the store are in the protocol. A real server's positions are places in a file.
#[derive(Clone, Copy)]
pub(super) struct Spacing(pub(super) u64);

impl Spacing {
    pub(super) const fn position(self, position: Position) -> AllStreamPosition {
        AllStreamPosition {
            commit_position: position.0 * self.0,
            prepare_position: position.0 * self.0,
        }
    }

    /// The last position at or before a place.
    pub(super) const fn at_or_before(self, place: AllStreamPosition) -> Position {
        Position(place.commit_position / self.0)
    }

    /// The first position at or after a place.
    pub(super) const fn at_or_after(self, place: AllStreamPosition) -> Position {
        Position(place.commit_position.div_ceil(self.0))
    }
}

pub(super) fn standing(expected: Option<stream_state::Expected>) -> Standing {
    match expected {
        Some(stream_state::Expected::Revision(revision)) => {
            Standing::As(Expected::Exact(Revision(revision)))
        }
        Some(stream_state::Expected::NoStream(Empty {})) => Standing::As(Expected::NoStream),
        Some(stream_state::Expected::StreamExists(Empty {})) => Standing::Exists,
        Some(stream_state::Expected::Any(Empty {})) | None => Standing::As(Expected::Any),
    }
}

pub(super) fn standing_in_batch(expected: Option<batch_append_req::options::Expected>) -> Standing {
    use batch_append_req::options::Expected as Wire;
    match expected {
        Some(Wire::StreamPosition(revision)) => Standing::As(Expected::Exact(Revision(revision))),
        Some(Wire::NoStream(Empty {})) => Standing::As(Expected::NoStream),
        Some(Wire::StreamExists(Empty {})) => Standing::Exists,
        Some(Wire::Any(Empty {})) | None => Standing::As(Expected::Any),
    }
}

fn uuid(value: Option<super::wire::Uuid>) -> Result<Uuid, Status> {
    match value.and_then(|value| value.value) {
        Some(wire_uuid::Value::Structured(halves)) => {
            let (high, low) = (halves.most_significant_bits, halves.least_significant_bits);
            Ok(Uuid::from_u64_pair(
                high.cast_unsigned(),
                low.cast_unsigned(),
            ))
        }
        Some(wire_uuid::Value::String(text)) => text
            .parse()
            .map_err(|_| Status::invalid_argument("an event id is a UUID")),
        None => Err(Status::invalid_argument("an event has an id")),
    }
}

pub(super) fn new_event(stream: &StreamId, message: ProposedMessage) -> Result<NewEvent, Status> {
    let family = stream.family();
    let name = message.metadata.get("type").map_or("", String::as_str);
    let known = type_code(family, name).and_then(|code| type_name(family, code));
    let unknown = || Status::invalid_argument(format!("the double knows no {name} in {family}"));
    Ok(NewEvent {
        id: EventId::from_uuid(uuid(message.id)?),
        type_name: known.ok_or_else(unknown)?,
        data: message.data,
        metadata: message.custom_metadata,
        payloads: Vec::new(),
    })
}

pub(super) fn read_event(recorded: Recorded, spacing: Spacing) -> ReadResp {
    let place = spacing.position(recorded.position);
    let ticks = recorded.recorded_at.epoch_millis() * TICKS_PER_MILLI;
    let metadata = HashMap::from([
        ("type".to_owned(), recorded.type_name.into_owned()),
        ("created".to_owned(), ticks.to_string()),
        ("content-type".to_owned(), "application/json".to_owned()),
    ]);
    let event = RecordedEvent {
        id: Some(super::wire::Uuid {
            value: Some(wire_uuid::Value::String(recorded.id.uuid().to_string())),
        }),
        stream_identifier: Some(identifier(&recorded.stream)),
        stream_revision: recorded.revision.0,
        prepare_position: place.prepare_position,
        commit_position: place.commit_position,
        metadata,
        custom_metadata: recorded.metadata,
        data: recorded.data,
    };
    response(Content::Event(ReadEvent {
        event: Some(event),
        position: Some(read_event::Position::CommitPosition(place.commit_position)),
    }))
}

pub(super) const fn response(content: Content) -> ReadResp {
    ReadResp {
        content: Some(content),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "stands in map_err, which gives the error away"
)]
pub(super) fn unreadable(error: events::ReadError) -> Status {
    Status::new(Code::Unavailable, error.to_string())
}
