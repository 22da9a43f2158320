//! From a stream to a state.

use std::sync::Arc;

use events::codec::Fact;
use events::{Event as _, Recorded, Revision, StreamId};

use super::Executor;
use super::cache::State;
use crate::aggregate::Aggregate;
use crate::command::Unavailable;

/// How many events one read of a stream asks for.
pub(super) const PAGE: usize = 500;

pub(super) fn typed<A: Aggregate>(state: State) -> Arc<A> {
    state
        .downcast()
        .expect("a stream's family decides on the type of its state")
}

impl Executor {
    /// The state of a stream as far as this node remembers it, if it does. It may have gone on elsewhere.
    pub(super) async fn remembered<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Option<(Arc<A>, Revision)> {
        let (state, revision) = self.cache.get(stream).await?;
        Some((typed::<A>(state), revision))
    }

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
    pub(super) async fn open(&self, recorded: &[Recorded]) -> Result<Vec<Fact>, Unavailable> {
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
