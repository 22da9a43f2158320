//! Where streams stand, as far as this node remembers.

use events::store::Revision;
use events::stream::StreamId;
use hashlink::LruCache;

/// Where a stream stands: its last revision, or none if it has no event.
#[derive(Clone, Copy)]
pub(crate) struct Stand(pub(crate) Option<Revision>);

/// Where the streams stand that were used last. True as long as nobody else appends.
pub(crate) struct Heads(LruCache<StreamId, Stand>);

impl Heads {
    /// Remembers up to `streams`.
    pub(crate) fn new(streams: usize) -> Self {
        Self(LruCache::new(streams))
    }

    /// Where `stream` stands, if it is remembered.
    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<Stand> {
        self.0.get(stream).copied()
    }

    /// Remembers where `stream` stands.
    pub(crate) fn set(&mut self, stream: &StreamId, stand: Stand) {
        match self.0.get_mut(stream) {
            Some(known) => *known = stand,
            None => drop(self.0.insert(stream.clone(), stand)),
        }
    }

    /// Corrects what is remembered of `stream`; does not start remembering it.
    pub(crate) fn correct(&mut self, stream: &StreamId, revision: Revision) {
        if let Some(Stand(known)) = self.0.peek_mut(stream) {
            *known = (*known).max(Some(revision));
        }
    }

    /// Forgets `stream`.
    pub(crate) fn forget(&mut self, stream: &StreamId) {
        self.0.remove(stream);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
