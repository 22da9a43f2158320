//! Histories: events in the order in which they happened, as facts for a fold or as appends for a store.
//!
//! Everything is named by small numbers, so that a test can say what it means: account 1, device 2, message 3.

pub mod samples;

mod random;

use std::collections::HashMap;

use bytes::Bytes;
use events::codec::{Fact, SCHEMA_VERSION};
use events::personal::{Subject, SubjectKeys};
use events::store::StreamWrite;
use events::{
    Actor, AnyEvent, Append, EventId, EventStore, Expected, Metadata, NewEvent, Payload, Position,
    RequestId, Revision, StreamId, Timestamp,
};
use uuid::Uuid;

use crate::environment::{FrozenClock, SeededEntropy};

/// What has happened, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    facts: Vec<Fact>,
    revisions: HashMap<StreamId, u64>,
    payloads: HashMap<usize, Payload>,
}

impl History {
    /// Adds an event, one second after the one before; tells its position.
    pub fn then(&mut self, stream: StreamId, event: impl Into<AnyEvent>) -> Position {
        let number = self.facts.len() as u64;
        let revision = self.revisions.entry(stream.clone()).or_default();
        let fact = Fact {
            position: Position(number + 1),
            revision: Revision(*revision),
            id: EventId::from_uuid(Uuid::from_u128(u128::from(number) + 0xe000)),
            metadata: Metadata {
                at: at(number),
                actor: Actor::Anonymous,
                request: RequestId(Uuid::from_u128(u128::from(number) + 0xf000)),
                causation: None,
                correlation: None,
                schema_version: SCHEMA_VERSION,
            },
            event: event.into(),
            stream,
        };
        *revision += 1;
        self.facts.push(fact);
        Position(number + 1)
    }

    /// Adds a message for a device, with its ciphertext.
    pub fn message(&mut self, to: samples::Address, guid: u32, content: &[u8]) -> Position {
        let (event, payload) = samples::message(to, guid, content);
        self.payloads.insert(self.facts.len(), payload);
        self.then(StreamId::mailbox(to.into()), event)
    }

    /// The facts, in clear.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The position of the last event.
    pub fn head(&self) -> Position {
        Position(self.facts.len() as u64)
    }

    /// Appends the whole history to a store, event by event, with personal values sealed. To a store that was empty the
    /// positions are those of the history.
    ///
    /// # Panics
    ///
    /// If the store refuses.
    pub async fn append(&self, store: &dyn EventStore, keys: &dyn SubjectKeys) {
        self.append_from(0, store, keys).await;
    }

    /// Appends what follows the first `skip` events.
    ///
    /// # Panics
    ///
    /// If the store refuses.
    pub async fn append_from(&self, skip: usize, store: &dyn EventStore, keys: &dyn SubjectKeys) {
        let entropy = SeededEntropy::new(skip as u64);
        for (number, fact) in self.facts.iter().enumerate().skip(skip) {
            let mut event = fact.event.clone();
            if let Some(subject) = subject(fact) {
                let key = keys.obtain(subject).await.expect("the keys are at hand");
                event.visit_personal(&mut |field| field.seal(&key, &entropy));
            }
            let new = NewEvent {
                id: fact.id,
                type_name: event.type_name(),
                data: event.to_json().expect("sealed events can be stored").into(),
                metadata: metadata(fact),
                payloads: self.payloads.get(&number).cloned().into_iter().collect(),
            };
            let write = StreamWrite {
                stream: fact.stream.clone(),
                expected: Expected::Any,
                events: vec![new],
            };
            let append = Append::to(vec![write]);
            store
                .append(append)
                .await
                .expect("the store takes the history");
        }
    }
}

fn metadata(fact: &Fact) -> Bytes {
    serde_json::to_vec(&fact.metadata)
        .expect("metadata are plain data")
        .into()
}

/// Under whose key the event's personal values are sealed.
fn subject(fact: &Fact) -> Option<Subject> {
    use events::verification::VerificationEvent::SessionStarted;
    match &fact.event {
        AnyEvent::Account(_) => fact.stream.as_account().map(Subject::Account),
        AnyEvent::Verification(SessionStarted(started)) => fact
            .stream
            .as_verification()
            .map(|session| Subject::Session(session, started.pni)),
        _ => None,
    }
}

/// The moment of a history's `number`th event, from 0.
fn at(number: u64) -> Timestamp {
    Timestamp::from_epoch_millis(FrozenClock::START_MILLIS + 1_000 * number)
        .expect("histories are shorter than an aeon")
}
