//! One run of a command: what it has looked at and what it wants to be true.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use events::ports::Entropy;
use events::store::PayloadSlice;
use events::{
    AnyEvent, Expected, Guard, MessageGuid, Payload, PayloadId, PayloadRef, Revision, StreamId,
    Timestamp,
};

use super::cache::State;
use super::load::typed;
use super::{Executor, RequestContext};
use crate::aggregate::Aggregate;
use crate::command::Unavailable;

/// What a command works with while it runs.
pub struct Work<'a> {
    executor: &'a Executor,
    context: &'a RequestContext,
    /// Whether states are taken as this node remembers them.
    from_memory: bool,
    /// The streams whose states were.
    remembered: Mutex<Vec<Guard>>,
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
pub(super) struct Write {
    pub(super) stream: StreamId,
    pub(super) expected: Expected,
    pub(super) events: Vec<Recording>,
    /// The state after these events, where it is known.
    pub(super) advanced: Option<State>,
}

/// An event, and the bytes that it refers to.
pub(super) struct Recording {
    pub(super) event: AnyEvent,
    pub(super) payload: Option<Payload>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        executor: &'a Executor,
        context: &'a RequestContext,
        from_memory: bool,
    ) -> Self {
        Self {
            executor,
            context,
            from_memory,
            remembered: Mutex::default(),
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

    /// The state of the stream named `id`, with everything that stands there now; where it is not, the append fails and the
    /// command is run again. Within one run a stream is read once.
    pub async fn load<A: Aggregate>(&self, id: A::Id) -> Result<Loaded<A>, Unavailable> {
        let stream = A::stream(id);
        let seen = self.seen().get(&stream).cloned();
        let (state, revision) = match seen {
            Some((state, revision)) => (typed::<A>(state), revision),
            None => match &self.context.again {
                Some(own) => {
                    self.executor
                        .as_it_was::<A>(&stream, self.context, own)
                        .await?
                }
                None => self.look::<A>(&stream).await?,
            },
        };
        self.seen()
            .insert(stream.clone(), (state.clone(), revision));
        Ok(Loaded {
            stream,
            state,
            revision,
        })
    }

    async fn look<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Result<(Arc<A>, Option<Revision>), Unavailable> {
        if self.from_memory
            && let Some((state, revision)) = self.executor.remembered::<A>(stream).await
        {
            self.remembered().push(Guard {
                stream: stream.clone(),
                expected: Expected::Exact(revision),
            });
            return Ok((state, Some(revision)));
        }
        self.executor.catch_up::<A>(stream).await
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
        self.keep(Payload {
            id: PayloadId(id),
            bytes,
        })
    }

    /// Puts a message's ciphertext beside the log, under the message's own name: who erases it when the message is
    /// delivered knows no other.
    pub fn payload_of(&mut self, guid: MessageGuid, bytes: Bytes) -> PayloadRef {
        self.keep(Payload {
            id: PayloadId(guid.uuid()),
            bytes,
        })
    }

    fn keep(&mut self, payload: Payload) -> PayloadRef {
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

    /// What was recorded, and which states were taken from memory.
    pub(super) fn finish(self) -> (Vec<Write>, Vec<Guard>) {
        let remembered = self.remembered.into_inner();
        (
            self.writes,
            remembered.expect("nothing panics while it is locked"),
        )
    }

    fn recording(&mut self, event: AnyEvent) -> Recording {
        let payload = event
            .payload()
            .and_then(|reference| self.payloads.remove(&reference.id));
        Recording { event, payload }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Vec<Guard>> {
        self.remembered
            .lock()
            .expect("nothing panics while it is locked")
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, (State, Option<Revision>)>> {
        self.seen
            .lock()
            .expect("nothing panics while the map is locked")
    }
}
