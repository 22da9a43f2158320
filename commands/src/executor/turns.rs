//! Queues for hot streams: one run at a time on this node, in the order of asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use events::StreamId;
use tokio::sync::OwnedMutexGuard;

/// The streams that somebody is using or waiting for.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<()>>>>);

/// A turn; the next in the queue has theirs when it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    stream: StreamId,
    lock: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(crate) async fn take(&self, stream: StreamId) -> Turn<'_> {
        let queue = Arc::clone(self.queues().entry(stream.clone()).or_default());
        // Made before the wait: whoever stops waiting leaves the queue as tidy as whoever had their turn.
        let mut turn = Turn {
            turns: self,
            stream,
            lock: None,
        };
        turn.lock = Some(queue.lock_owned().await);
        turn
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, Arc<tokio::sync::Mutex<()>>>> {
        self.0
            .lock()
            .expect("nothing panics while the map is locked")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        drop(self.lock.take());
        // Others hold a clone while they wait or have their turn, and clones are made under this very lock.
        if queues
            .get(&self.stream)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use uuid::Uuid;

    fn stream(number: u128) -> StreamId {
        StreamId::account(events::Aci::from_uuid(Uuid::from_u128(number)))
    }

    #[tokio::test]
    async fn one_has_the_turn_and_the_others_queue() {
        let turns = Turns::default();
        let first = turns.take(stream(1)).await;
        let mut second = Box::pin(turns.take(stream(1)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(
            turns.take(stream(2)).now_or_never().is_some(),
            "another stream is free"
        );
        drop(first);
        drop(second.await);
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take(stream(1)).await;
        let mut second = Box::pin(turns.take(stream(1)));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        drop(second);
        assert!(turns.queues().is_empty());
    }
}
