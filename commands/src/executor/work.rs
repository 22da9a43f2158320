//! One run of a command: what it has looked at and what it wants to be true.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use events::codec::{Fact, SCHEMA_VERSION};
use events::ports::Entropy;
use events::store::{PayloadSlice, StreamWrite};
use events::{
    AnyEvent, Append, Event as _, Expected, Metadata, NewEvent, Payload, PayloadId, PayloadRef,
    Revision, StreamId, Subject, Timestamp,
};

use super::cache::State;
use super::{Executor, RequestContext, event_id};
use crate::aggregate::Aggregate;
use crate::command::Unavailable;

/// How many events one read of a stream asks for.
const PAGE: usize = 500;

/// What a command works with while it runs.
pub struct Work<'a> {
    executor: &'a Executor,
    context: &'a RequestContext,
    seen: Mutex<HashMap<StreamId, (State, Option<Revision>)>>,
    payloads: HashMap<PayloadId, Payload>,
    writes: Vec<Write>,
}

/// The state of a stream, and where the stream stood.
#[derive(Clone)]
pub struct Loaded<A> {
    stream: StreamId,
    state: Arc<A>,
    revision: Option<Revision>,
}

impl<A> Loaded<A> {
    /// The stream.
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Whether nothing has ever happened there.
    pub const fn is_new(&self) -> bool {
        self.revision.is_none()
    }

    fn expected(&self) -> Expected {
        self.revision.map_or(Expected::NoStream, Expected::Exact)
    }
}

impl<A> Deref for Loaded<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}

/// Events for one stream, on their way to an append.
pub(crate) struct Write {
    pub(crate) stream: StreamId,
    expected: Expected,
    events: Vec<Recording>,
    /// The state after these events, where it is known.
    pub(crate) advanced: Option<State>,
}

struct Recording {
    event: AnyEvent,
    payload: Option<Payload>,
}

impl<'a> Work<'a> {
    pub(super) fn new(executor: &'a Executor, context: &'a RequestContext) -> Self {
        Self {
            executor,
            context,
            seen: Mutex::default(),
            payloads: HashMap::new(),
            writes: Vec::new(),
        }
    }

    /// When the request came in.
    pub const fn at(&self) -> Timestamp {
        self.context.at
    }

    /// The source of randomness, for ids whose number only the rule knows.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.executor.entropy
    }

    /// The state of the stream named `id`, with everything that stands there now. Within one run a stream is read once.
    pub async fn load<A: Aggregate>(&self, id: A::Id) -> Result<Loaded<A>, Unavailable> {
        let stream = A::stream(id);
        let seen = self.seen().get(&stream).cloned();
        let (state, revision) = match seen {
            Some((state, revision)) => (typed::<A>(state), revision),
            None => self.executor.catch_up::<A>(&stream).await?,
        };
        self.seen()
            .insert(stream.clone(), (state.clone(), revision));
        Ok(Loaded {
            stream,
            state,
            revision,
        })
    }

    /// Records events on a stream that was loaded: they hold only if it still stands where it stood. Once a run and stream.
    pub fn record<A: Aggregate, E: Into<A::Event>>(
        &mut self,
        loaded: &Loaded<A>,
        events: impl IntoIterator<Item = E>,
    ) {
        let events: Vec<A::Event> = events.into_iter().map(Into::into).collect();
        if events.is_empty() {
            return;
        }
        assert!(
            self.writes
                .iter()
                .all(|write| write.stream != loaded.stream),
            "{} was recorded on twice: its second events would be decided on an outdated state",
            loaded.stream,
        );
        let mut state = A::clone(loaded);
        for event in &events {
            state.evolve(event, self.context.at);
        }
        let events = events
            .into_iter()
            .map(|event| self.recording(event.into()))
            .collect();
        self.writes.push(Write {
            stream: loaded.stream.clone(),
            expected: loaded.expected(),
            events,
            advanced: Some(Arc::new(state)),
        });
    }

    /// Records an event that holds wherever the stream stands.
    pub fn record_anywhere(&mut self, stream: StreamId, event: impl Into<AnyEvent>) {
        let recording = self.recording(event.into());
        match self.writes.iter_mut().find(|write| write.stream == stream) {
            Some(write) => write.events.push(recording),
            None => self.writes.push(Write {
                stream,
                expected: Expected::Any,
                events: vec![recording],
                advanced: None,
            }),
        }
    }

    /// Puts bytes beside the log, together with the event that will carry the reference.
    pub fn payload(&mut self, bytes: Bytes) -> PayloadRef {
        let id = uuid::Builder::from_random_bytes(self.entropy().bytes()).into_uuid();
        let payload = Payload {
            id: PayloadId(id),
            bytes,
        };
        let reference = payload.reference();
        self.payloads.insert(payload.id, payload);
        reference
    }

    /// Reads bytes that stand beside the log; `None` where they are erased.
    pub async fn fetch(&self, slices: &[PayloadSlice]) -> Result<Vec<Option<Bytes>>, Unavailable> {
        if slices.is_empty() {
            return Ok(Vec::new());
        }
        let fetched = self.executor.payloads.fetch(slices).await;
        fetched.map_err(Unavailable::from_source)
    }

    pub(super) fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    fn recording(&mut self, event: AnyEvent) -> Recording {
        let payload = event
            .payload()
            .and_then(|reference| self.payloads.remove(&reference.id));
        Recording { event, payload }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, (State, Option<Revision>)>> {
        self.seen
            .lock()
            .expect("nothing panics while the map is locked")
    }
}

fn typed<A: Aggregate>(state: State) -> Arc<A> {
    state
        .downcast()
        .expect("a stream's family decides on the type of its state")
}

impl Executor {
    /// The state of a stream: what is cached of it, and the rest of the stream.
    pub(crate) async fn catch_up<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Result<(Arc<A>, Option<Revision>), Unavailable> {
        let cached = self.cache.get(stream).await;
        let (mut state, known) = match cached {
            Some((state, revision)) => (typed::<A>(state), Some(revision)),
            None => (Arc::default(), None),
        };
        let mut revision = known;
        loop {
            let from = revision.map_or(Revision::FIRST, Revision::next);
            let tail = self
                .store
                .read(stream, from, PAGE)
                .await
                .map_err(Unavailable::from_source)?;
            for fact in self.open(&tail).await? {
                let event = A::Event::narrow(fact.event).expect("a stream holds its own family");
                Arc::make_mut(&mut state).evolve(&event, fact.metadata.at);
                revision = Some(fact.revision);
            }
            if tail.len() < PAGE {
                break;
            }
        }
        if let Some(revision) = revision.filter(|_| revision != known) {
            self.cache
                .put(stream.clone(), state.clone(), revision)
                .await;
        }
        Ok((state, revision))
    }

    /// Decodes events and opens their personal values.
    async fn open(&self, recorded: &[events::Recorded]) -> Result<Vec<Fact>, Unavailable> {
        let decoded: Result<Vec<_>, _> = recorded.iter().map(Fact::decode).collect();
        let mut facts = decoded.map_err(Unavailable::from_source)?;
        let mut needed = Vec::new();
        for fact in &mut facts {
            fact.needs_keys(&mut needed);
        }
        if needed.is_empty() {
            return Ok(facts);
        }
        let keys = self
            .keys
            .find(&needed)
            .await
            .map_err(Unavailable::from_source)?;
        for fact in &mut facts {
            fact.open(&keys).map_err(Unavailable::from_source)?;
        }
        Ok(facts)
    }
}

/// Whose key protects the personal values of an event.
fn subject(stream: &StreamId, event: &AnyEvent) -> Option<Subject> {
    use events::verification::VerificationEvent::SessionStarted;
    match event {
        AnyEvent::Account(_) => stream.as_account().map(Subject::Account),
        AnyEvent::Verification(SessionStarted(session)) => Some(Subject::Number(session.pni)),
        AnyEvent::Verification(_)
        | AnyEvent::Keys(_)
        | AnyEvent::Mailbox(_)
        | AnyEvent::Number(_)
        | AnyEvent::Operator(_) => None,
    }
}

/// Seals the personal values and writes the stored forms.
pub(super) async fn encode(
    executor: &Executor,
    writes: &mut [Write],
    context: &RequestContext,
) -> Result<Append, Unavailable> {
    let metadata = encode_metadata(context);
    let mut append = Append::default();
    for write in writes {
        let mut events = Vec::with_capacity(write.events.len());
        for (index, mut recording) in write.events.drain(..).enumerate() {
            seal(executor, &write.stream, &mut recording.event).await?;
            let data = recording
                .event
                .to_json()
                .expect("events are plain data, and sealed by now");
            events.push(NewEvent {
                id: event_id::derive(context.request, &write.stream, write.expected, index),
                type_name: recording.event.type_name(),
                data: data.into(),
                metadata: metadata.clone(),
                payloads: recording.payload.into_iter().collect(),
            });
        }
        append.writes.push(StreamWrite {
            stream: write.stream.clone(),
            expected: write.expected,
            events,
        });
    }
    Ok(append)
}

fn encode_metadata(context: &RequestContext) -> Bytes {
    let metadata = Metadata {
        at: context.at,
        actor: context.actor.clone(),
        request: context.request,
        causation: context.causation,
        correlation: context.correlation,
        schema_version: SCHEMA_VERSION,
    };
    serde_json::to_vec(&metadata)
        .expect("metadata are plain data")
        .into()
}

async fn seal(
    executor: &Executor,
    stream: &StreamId,
    event: &mut AnyEvent,
) -> Result<(), Unavailable> {
    let mut clear = false;
    event.visit_personal(&mut |field| clear |= field.key().is_none());
    let Some(subject) = subject(stream, event).filter(|_| clear) else {
        return Ok(());
    };
    let key = executor
        .keys
        .obtain(subject)
        .await
        .map_err(Unavailable::from_source)?;
    event.visit_personal(&mut |field| field.seal(&key, &*executor.entropy));
    Ok(())
}
