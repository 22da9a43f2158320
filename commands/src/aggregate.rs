//! State rebuilt from one stream: what rules decide on.

use events::{Event, StreamId, Timestamp};

/// State rebuilt from one stream. The default is that of a stream without events.
pub trait Aggregate: Clone + Default + Send + Sync + 'static {
    /// What a stream of this kind is named by.
    type Id: Send;
    /// What can happen to it.
    type Event: Event;

    /// The stream of the one named `id`.
    fn stream(id: Self::Id) -> StreamId;

    /// Takes in what happened at `at`. Total: whatever stands in the log is true.
    fn evolve(&mut self, event: &Self::Event, at: Timestamp);
}
