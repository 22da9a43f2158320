//! An event as one line of JSON, from which it can be read back byte for byte.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ids::{EventId, InvalidId};
use crate::store::{Position, Recorded, Revision};
use crate::values::Timestamp;

/// An event as a line of JSON, with data and metadata as they are stored.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    position: u64,
    stream: String,
    revision: u64,
    id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    recorded_at: u64,
    data: Box<RawValue>,
    metadata: Box<RawValue>,
}

/// What is stored is no JSON that fits on a line: it was made by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is stored is not JSON of one line")]
pub struct NotALine;

impl TryFrom<&Recorded> for EventLine {
    type Error = NotALine;

    fn try_from(event: &Recorded) -> Result<Self, NotALine> {
        Ok(Self {
            position: event.position.0,
            stream: event.stream.to_string(),
            revision: event.revision.0,
            id: event.id.uuid(),
            kind: event.type_name.to_string(),
            recorded_at: event.recorded_at.epoch_millis(),
            data: raw(&event.data)?,
            metadata: raw(&event.metadata)?,
        })
    }
}

impl EventLine {
    /// The event; or what is wrong with the line.
    pub fn recorded(self) -> Result<Recorded, String> {
        Ok(Recorded {
            position: Position(self.position),
            stream: self
                .stream
                .parse()
                .map_err(|error: InvalidId| error.to_string())?,
            revision: Revision(self.revision),
            id: EventId::from_uuid(self.id),
            type_name: self.kind.into(),
            data: text(self.data),
            metadata: text(self.metadata),
            recorded_at: Timestamp::from_epoch_millis(self.recorded_at)
                .map_err(|error| error.to_string())?,
        })
    }
}

/// Stored JSON, verbatim. It is written without line breaks.
pub fn raw(stored: &[u8]) -> Result<Box<RawValue>, NotALine> {
    let text = std::str::from_utf8(stored).map_err(|_| NotALine)?;
    if text.contains('\n') {
        return Err(NotALine);
    }
    RawValue::from_string(text.to_owned()).map_err(|_| NotALine)
}

/// What [`raw`] was made from.
pub fn text(raw: Box<RawValue>) -> Bytes {
    String::from(Box::<str>::from(raw)).into()
}
