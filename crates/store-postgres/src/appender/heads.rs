//! Where streams stand, as far as this node remembers.

use events::store::Revision;
use events::stream::StreamId;
use hashlink::LruCache;

/// The last revisions of the streams that were used last. True as long as nobody else appends.
pub(crate) struct Heads(LruCache<StreamId, Option<Revision>>);

impl Heads {
    /// Remembers up to `streams`.
    pub(crate) fn new(streams: usize) -> Self {
        Self(LruCache::new(streams))
    }

    /// The last revision of `stream` (`None`: it has no event), if it is remembered.
    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<Option<Revision>> {
        self.0.get(stream).copied()
    }

    /// `stream` stands at `revision`.
    pub(crate) fn set(&mut self, stream: &StreamId, revision: Option<Revision>) {
        match self.0.get_mut(stream) {
            Some(known) => *known = revision,
            None => drop(self.0.insert(stream.clone(), revision)),
        }
    }

    /// Corrects what is remembered of `stream`; does not start remembering it.
    pub(crate) fn correct(&mut self, stream: &StreamId, revision: Revision) {
        if let Some(known) = self.0.peek_mut(stream) {
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
