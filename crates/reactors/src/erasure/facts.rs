//! Reading the streams that end, and recording what was destroyed.

use events::codec::{Fact, SCHEMA_VERSION};
use events::erasure::ErasureEvent;
use events::{
    Actor, Append, Event as _, EventId, EventStore, Expected, Metadata, NewEvent, Position,
    RequestId, Revision, StreamId,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Erasure, NotErased, Tools};

/// How many events one read of a stream asks for.
const PAGE: usize = 1_000;

/// Shows every event of a stream up to `through` to `visit`, in order, with personal values sealed.
pub(super) async fn each(
    store: &dyn EventStore,
    stream: &StreamId,
    through: Position,
    mut visit: impl FnMut(&Fact),
) -> Result<(), NotErased> {
    let mut from = Revision::FIRST;
    loop {
        let page = store.read(stream, from, PAGE).await?;
        for recorded in &page {
            if recorded.position > through {
                return Ok(());
            }
            let fact = Fact::decode(recorded).map_err(|error| NotErased::Illegible {
                position: recorded.position,
                what: error.to_string(),
            })?;
            visit(&fact);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.revision.next(),
            _ => return Ok(()),
        }
    }
}

/// Records what was destroyed because of `cause`. Recording the same thing again does nothing: its id derives from the cause.
pub(super) async fn record(
    tools: &Tools,
    stream: StreamId,
    event: impl Into<ErasureEvent>,
    cause: &Fact,
    what: &str,
) -> Result<(), NotErased> {
    let because = Because {
        id: derived(&stream, cause.id, what),
        causation: Some(cause.id),
        correlation: cause.metadata.chain(),
    };
    record_because(tools, stream, event, because).await
}

/// The event's id, and why it came about.
pub(super) struct Because {
    pub(super) id: Uuid,
    pub(super) causation: Option<EventId>,
    pub(super) correlation: Uuid,
}

pub(super) async fn record_because(
    tools: &Tools,
    stream: StreamId,
    event: impl Into<ErasureEvent>,
    because: Because,
) -> Result<(), NotErased> {
    let event = event.into();
    let metadata = Metadata {
        at: tools.clock.now(),
        actor: Actor::System(Erasure::NAME.into()),
        request: RequestId(because.id),
        causation: because.causation,
        correlation: Some(because.correlation),
        schema_version: SCHEMA_VERSION,
    };
    let new = NewEvent {
        id: EventId::from_uuid(because.id),
        type_name: event.type_name(),
        data: event
            .to_json()
            .expect("what was destroyed holds no personal value")
            .into(),
        metadata: serde_json::to_vec(&metadata)
            .expect("metadata are plain data")
            .into(),
        payloads: Vec::new(),
    };
    let append = Append::one(stream, Expected::Any, vec![new]);
    tools.store.append(append).await?;
    Ok(())
}

/// An id of version 7 that begins with the time of the cause.
fn derived(stream: &StreamId, cause: EventId, what: &str) -> Uuid {
    let mut hash = Sha256::new_with_prefix(stream.to_string());
    hash.update(cause.as_bytes());
    hash.update(what);
    let digest: [u8; 32] = hash.finalize().into();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let mut time = [0; 8];
    time[2..].copy_from_slice(&cause.as_bytes()[..6]);
    uuid::Builder::from_unix_timestamp_millis(u64::from_be_bytes(time), &random).into_uuid()
}
