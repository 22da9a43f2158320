//! Events as lines of text: JSON Lines of our own, or `CloudEvents`. Either can be read back byte for byte.

use std::borrow::Cow;

use events::line::{self, EventLine};
use events::personal::KeyId;
use events::{EventId, Position, Recorded, Revision, StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::ReplayError;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line, with data and metadata as they are stored.
    #[default]
    Jsonl,
    /// One `CloudEvent` (version 1.0, structured mode) a line.
    Cloudevents,
}

/// An event as a `CloudEvent`. Names of extensions may have lower-case letters and digits only, their values no structure.
#[derive(Deserialize, Serialize)]
struct CloudEvent {
    specversion: Cow<'static, str>,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
    datacontenttype: Cow<'static, str>,
    position: String,
    revision: String,
    recordedat: String,
    /// Stored text of the metadata.
    metadata: String,
    data: Box<RawValue>,
}

/// What `CloudEvents`' types begin with; the family and the kind follow.
const TYPE_PREFIX: &str = "heliograph.";

/// The key of a subject, for an export that keeps personal values readable.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeyLine {
    pub(crate) key_id: Uuid,
    pub(crate) subject: Uuid,
    pub(crate) owner: Uuid,
    pub(crate) kind: i16,
    pub(crate) deleted_before: Option<i64>,
    /// Hexadecimal.
    pub(crate) secret: String,
}

/// A payload, likewise.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayloadLine {
    pub(crate) id: Uuid,
    /// Hexadecimal.
    pub(crate) bytes: String,
}

/// A line of an export.
pub(crate) enum Line {
    Event(Recorded),
    Key(KeyLine),
    Payload(PayloadLine),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Secret<T> {
    pub(crate) secret_of_the_log: T,
}

/// The event as a line, without the newline.
pub fn line(event: &Recorded, format: Format) -> Result<String, ReplayError> {
    let json = match format {
        Format::Jsonl => {
            let line = EventLine::try_from(event).map_err(|_| not_json(event.position))?;
            serde_json::to_string(&line)
        }
        Format::Cloudevents => serde_json::to_string(&CloudEvent {
            specversion: "1.0".into(),
            id: event.id.uuid(),
            source: "/heliograph/log".to_owned(),
            kind: format!("{TYPE_PREFIX}{}.{}", event.stream.family(), event.type_name),
            subject: event.stream.to_string(),
            time: crate::audit::time(event.recorded_at),
            datacontenttype: "application/json".into(),
            position: event.position.to_string(),
            revision: event.revision.to_string(),
            recordedat: event.recorded_at.epoch_millis().to_string(),
            metadata: raw(event, &event.metadata)?.get().to_owned(),
            data: raw(event, &event.data)?,
        }),
    };
    json.map_err(|error| illegible(event.position, error.to_string()))
}

/// Stored text, verbatim.
fn raw(event: &Recorded, bytes: &[u8]) -> Result<Box<RawValue>, ReplayError> {
    line::raw(bytes).map_err(|_| not_json(event.position))
}

fn not_json(position: Position) -> ReplayError {
    illegible(
        position,
        "what is stored is not JSON of one line".to_owned(),
    )
}

const fn illegible(position: Position, what: String) -> ReplayError {
    ReplayError::Illegible { position, what }
}

/// Reads a line back; says what is wrong with it otherwise.
pub(crate) fn parse(text: &str) -> Result<Line, String> {
    if let Ok(line) = serde_json::from_str::<EventLine>(text) {
        return line.recorded().map(Line::Event);
    }
    if let Ok(event) = serde_json::from_str::<CloudEvent>(text) {
        return event.recorded().map(Line::Event);
    }
    if let Ok(Secret { secret_of_the_log }) = serde_json::from_str::<Secret<KeyLine>>(text) {
        return Ok(Line::Key(secret_of_the_log));
    }
    if let Ok(Secret { secret_of_the_log }) = serde_json::from_str::<Secret<PayloadLine>>(text) {
        return Ok(Line::Payload(secret_of_the_log));
    }
    Err("it is neither an event nor anything else that an export has".to_owned())
}

impl CloudEvent {
    fn recorded(self) -> Result<Recorded, String> {
        let kind = self
            .kind
            .strip_prefix(TYPE_PREFIX)
            .and_then(|kind| kind.split_once('.'))
            .ok_or_else(|| format!("{:?} is not the type of an event", self.kind))?;
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("{text:?} is not a number"))
        };
        Ok(Recorded {
            position: Position(number(&self.position)?),
            stream: stream(&self.subject)?,
            revision: Revision(number(&self.revision)?),
            id: EventId::from_uuid(self.id),
            type_name: kind.1.to_owned().into(),
            data: line::text(self.data),
            metadata: self.metadata.into(),
            recorded_at: timestamp(number(&self.recordedat)?)?,
        })
    }
}

fn stream(text: &str) -> Result<StreamId, String> {
    text.parse()
        .map_err(|error: events::ids::InvalidId| error.to_string())
}

fn timestamp(millis: u64) -> Result<Timestamp, String> {
    Timestamp::from_epoch_millis(millis).map_err(|error| error.to_string())
}

impl KeyLine {
    pub(crate) const fn id(&self) -> KeyId {
        KeyId(self.key_id)
    }
}
