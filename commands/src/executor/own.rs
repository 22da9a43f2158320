//! How a request that is carried out again finds what it did the first time.
//!
//! A request may have been carried out without anybody knowing: the server ended between the append and the answer, or
//! another node is at it right now. Its id is the same, and so are the ids of the events that it would cause *on the state
//! that it saw*. So it must see that state again: streams are read from their beginning, past the caches, and end before
//! the first event that bears the request's own id. The rule then decides as it did, the append is a repeat, and the store
//! answers it with the position of the first.
//!
//! A request may run several commands. What an earlier one has appended, or appended again, counts as seen for the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use events::codec::Fact;
use events::{Event as _, Revision, StreamId};

use super::load::PAGE;
use super::{Executor, RequestContext};
use crate::aggregate::Aggregate;
use crate::command::Unavailable;

/// How many of its own events a request has been through, by stream.
#[derive(Debug, Default)]
pub struct OwnEvents(Mutex<HashMap<StreamId, usize>>);

impl OwnEvents {
    fn seen(&self, stream: &StreamId) -> usize {
        let seen = self.0.lock().expect("nothing panics while it is locked");
        seen.get(stream).copied().unwrap_or_default()
    }

    pub(super) fn add(&self, stream: &StreamId, events: usize) {
        let mut seen = self.0.lock().expect("nothing panics while it is locked");
        *seen.entry(stream.clone()).or_default() += events;
    }
}

impl Executor {
    /// The state of a stream as the request found it, or would have found it, the first time.
    pub(super) async fn as_it_was<A: Aggregate>(
        &self,
        stream: &StreamId,
        context: &RequestContext,
        own: &OwnEvents,
    ) -> Result<(Arc<A>, Option<Revision>), Unavailable> {
        let (mut state, mut revision, mut seen) = (A::default(), None, own.seen(stream));
        loop {
            let from = revision.map_or(Revision::FIRST, Revision::next);
            let page = self
                .store
                .read(stream, from, PAGE)
                .await
                .map_err(Unavailable::from_source)?;
            for Fact {
                event,
                metadata,
                revision: at,
                ..
            } in self.open(&page).await?
            {
                if metadata.request == context.request {
                    if seen == 0 {
                        return Ok((Arc::new(state), revision));
                    }
                    seen -= 1;
                }
                let event = A::Event::narrow(event).expect("a stream holds its own family");
                state.evolve(&event, metadata.at);
                revision = Some(at);
            }
            if page.len() < PAGE {
                return Ok((Arc::new(state), revision));
            }
        }
    }
}
