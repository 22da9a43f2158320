//! Events that the suite appends, and helpers to look at what became of them.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use events::ids::{EventId, Pni};
use events::payload::{Payload, PayloadId};
use events::store::{
    Append, AppendError, Appended, EventStore, Expected, NewEvent, Position, Recorded, Revision,
    StreamWrite,
};
use events::stream::{Family, StreamId};
use futures::StreamExt as _;
use uuid::Uuid;

/// Numbers that no other call in this process gets.
fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A number that no other run gets, since a log may outlive it.
fn run() -> u64 {
    static RUN: OnceLock<u64> = OnceLock::new();
    *RUN.get_or_init(|| RandomState::new().hash_one(std::process::id()))
}

/// Bytes that nobody else gets.
pub(crate) fn unique_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&run().to_be_bytes());
    bytes[8..].copy_from_slice(&unique().to_be_bytes());
    bytes
}

/// A stream that nobody has written to.
pub fn new_stream() -> StreamId {
    StreamId::number(Pni::from_random(unique_bytes()))
}

/// A stream of another family.
pub fn new_operator_stream() -> StreamId {
    StreamId::operator(&format!("operator-{}-{}", run(), unique()))
}

/// A new event for a stream of [`new_stream`] or [`new_operator_stream`].
pub fn new_event(stream: &StreamId) -> NewEvent {
    let types = events::codec::types(stream.family());
    let number = unique();
    NewEvent {
        id: EventId::from_random(unique_bytes()),
        type_name: types[0].1,
        data: format!(r#"{{"number":{number}}}"#).into(),
        metadata: r#"{"at":0,"actor":"anonymous"}"#.into(),
        payloads: vec![],
    }
}

/// A payload of `size` bytes that repeat only after a prime number of them.
pub fn new_payload(size: usize) -> Payload {
    let bytes: Bytes = (0..251u8).cycle().take(size).collect();
    Payload {
        id: PayloadId(Uuid::from_bytes(unique_bytes())),
        bytes,
    }
}

/// A write of `count` new events.
pub fn write(stream: &StreamId, expected: Expected, count: usize) -> StreamWrite {
    let events = (0..count).map(|_| new_event(stream)).collect();
    StreamWrite {
        stream: stream.clone(),
        expected,
        events,
    }
}

/// An append of `count` new events to one stream.
pub fn append_of(stream: &StreamId, expected: Expected, count: usize) -> Append {
    Append::to(vec![write(stream, expected, count)])
}

/// Appends one new event wherever the stream stands.
pub async fn append_one(store: &dyn EventStore, stream: &StreamId) -> Appended {
    store
        .append(append_of(stream, Expected::Any, 1))
        .await
        .expect("an append without expectations is stored")
}

/// The whole stream.
pub async fn whole(store: &dyn EventStore, stream: &StreamId) -> Vec<Recorded> {
    store
        .read(stream, Revision::FIRST, usize::MAX)
        .await
        .expect("the stream is readable")
}

/// The ids of the events of an append, in order.
pub fn ids(append: &Append) -> Vec<EventId> {
    append
        .writes
        .iter()
        .flat_map(|write| &write.events)
        .map(|event| event.id)
        .collect()
}

/// Where the stream stands, by an error that tells.
pub fn actual_of(outcome: &Result<Appended, AppendError>) -> Option<Revision> {
    conflict_of(outcome).2
}

/// Which stream is elsewhere, where it should have stood, and where it stands, by an error that tells.
pub fn conflict_of(
    outcome: &Result<Appended, AppendError>,
) -> (StreamId, Expected, Option<Revision>) {
    match outcome {
        Err(AppendError::WrongRevision {
            stream,
            expected,
            actual,
        }) => (stream.clone(), *expected, *actual),
        other => panic!("expected a wrong revision, got {other:?}"),
    }
}

/// Everything of `families` after `after` that a follower gets until it has reached `through`.
pub async fn followed(
    store: &dyn EventStore,
    after: Position,
    families: &[Family],
    through: Position,
) -> Vec<Recorded> {
    let mut events = Vec::new();
    let mut reached = after;
    let mut batches = store.follow(after, families);
    while reached < through {
        let batch = batches
            .next()
            .await
            .expect("following does not end")
            .expect("the log is sound");
        assert!(
            batch.through > reached,
            "a batch must move the checkpoint on"
        );
        reached = batch.through;
        events.extend(batch.events);
    }
    events
}

/// The first `count` events of `streams` after `after`, as a follower of `families` gets them.
pub async fn followed_in(
    store: &dyn EventStore,
    after: Position,
    families: &[Family],
    streams: &BTreeSet<StreamId>,
    count: usize,
) -> Vec<Recorded> {
    let mut events = Vec::new();
    let mut reached = after;
    let mut batches = store.follow(after, families);
    while events.len() < count {
        let batch = batches
            .next()
            .await
            .expect("following does not end")
            .expect("the log is sound");
        assert!(
            batch.through > reached,
            "a batch must move the checkpoint on"
        );
        reached = batch.through;
        events.extend(
            batch
                .events
                .into_iter()
                .filter(|event| streams.contains(&event.stream)),
        );
    }
    events
}

/// Fails unless `events` stand at `after + 1, after + 2, …`.
pub fn assert_dense(events: &[Recorded], after: Position) {
    for (event, expected) in events.iter().zip(after.0 + 1..) {
        assert_eq!(
            event.position.0, expected,
            "a position is missing, repeated or out of order"
        );
    }
}
