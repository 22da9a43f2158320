//! Following the log: what is there, then what comes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::store::{Batch, Position, ReadError, Recorded};
use events::stream::Family;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::read::{self, Log};
use crate::wake::Head;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(2);

/// Everything of `families` after `after`. Outlives lost connections; ends only if the log is damaged.
pub(crate) fn follow(
    log: Log,
    head: &Head,
    recent: Arc<Recent>,
    after: Position,
    families: &[Family],
) -> BoxStream<'static, Result<Batch, ReadError>> {
    let follower = Follower {
        log,
        recent,
        head: head.subscribe(),
        after,
        families: families.to_vec(),
        begun: false,
    };
    stream::try_unfold(follower, |mut follower| async move {
        let batch = follower.next().await?;
        Ok(Some((batch, follower)))
    })
    .boxed()
}

struct Follower {
    log: Log,
    recent: Arc<Recent>,
    head: watch::Receiver<Position>,
    after: Position,
    families: Vec<Family>,
    /// The first page is read whatever the head: it tells whether there is a log that goes so far.
    begun: bool,
}

impl Follower {
    async fn next(&mut self) -> Result<Batch, ReadError> {
        loop {
            // Seen before reading, so that what comes while we read wakes us again.
            let head = *self.head.borrow_and_update();
            if head > self.after || !std::mem::replace(&mut self.begun, true) {
                let batch = self.page().await?;
                if batch.through > self.after {
                    self.after = batch.through;
                    return Ok(batch);
                }
            }
            if self.head.changed().await.is_err() {
                // The store is gone; nobody else will tell.
                sleep(LAST_BACKOFF).await;
            }
        }
    }

    async fn page(&self) -> Result<Batch, ReadError> {
        if let Some(batch) = self.recent.after(self.after, &self.families, read::PAGE) {
            return Ok(batch);
        }
        let mut backoff = FIRST_BACKOFF;
        loop {
            match read::page(&self.log, self.after, &self.families, read::PAGE).await {
                Err(ReadError::Unavailable(error)) => {
                    tracing::warn!(error, after = %self.after, "cannot read the log; trying again");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                }
                outcome => return outcome,
            }
        }
    }
}

/// The newest events that this node has written: followers that keep up need no query.
#[derive(Debug)]
pub(crate) struct Recent {
    capacity: usize,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// One after the other without a gap.
    batches: VecDeque<Arc<[Recorded]>>,
    bytes: usize,
}

impl Recent {
    /// Keeps about `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            window: Mutex::default(),
        }
    }

    /// Remembers what has just been committed.
    pub(crate) fn push(&self, batch: Arc<[Recorded]>) {
        let mut window = self
            .window
            .lock()
            .expect("nothing panics while it holds the window");
        let follows_on = match (
            window.batches.back().and_then(|last| last.last()),
            batch.first(),
        ) {
            (Some(last), Some(first)) => first.position.0 == last.position.0 + 1,
            _ => true,
        };
        if !follows_on {
            // Another node has written in between.
            *window = Window::default();
        }
        window.bytes += size(&batch);
        window.batches.push_back(batch);
        while window.bytes > self.capacity
            && let Some(oldest) = window.batches.pop_front()
        {
            window.bytes -= size(&oldest);
        }
    }

    /// The next `limit` events of `families`, if what follows `after` is remembered.
    fn after(&self, after: Position, families: &[Family], limit: usize) -> Option<Batch> {
        let mut batch = Batch {
            events: Vec::new(),
            through: after,
        };
        for event in self
            .batches_after(after)?
            .iter()
            .flat_map(|batch| batch.iter())
        {
            if event.position <= after {
                continue;
            }
            if batch.events.len() == limit {
                break;
            }
            batch.through = event.position;
            if families.contains(&event.stream.family()) {
                batch.events.push(event.clone());
            }
        }
        (batch.through > after).then_some(batch)
    }

    fn batches_after(&self, after: Position) -> Option<Vec<Arc<[Recorded]>>> {
        let window = self
            .window
            .lock()
            .expect("nothing panics while it holds the window");
        let first = window.batches.front()?.first()?.position;
        if first.0 > after.0 + 1 {
            return None;
        }
        let from = window
            .batches
            .partition_point(|batch| batch.last().is_none_or(|last| last.position <= after));
        Some(window.batches.range(from..).cloned().collect())
    }
}

/// Memory that a batch takes, roughly.
fn size(batch: &[Recorded]) -> usize {
    batch
        .iter()
        .map(|event| {
            size_of::<Recorded>()
                + event.stream.key().len()
                + event.data.len()
                + event.metadata.len()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::ids::EventId;
    use events::store::Revision;
    use events::stream::StreamId;
    use events::values::Timestamp;

    fn batch(positions: std::ops::RangeInclusive<u64>) -> Arc<[Recorded]> {
        positions
            .map(|position| Recorded {
                position: Position(position),
                stream: StreamId::operator("eve"),
                revision: Revision(position),
                id: EventId::from_random([0; 16]),
                type_name: "Anything".into(),
                data: vec![0; 100].into(),
                metadata: vec![].into(),
                recorded_at: Timestamp::default(),
            })
            .collect()
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        let batch = recent.after(Position(after), &[Family::Operator], limit)?;
        Some(batch.events.iter().map(|event| event.position.0).collect())
    }

    #[test]
    fn what_follows_a_remembered_position_needs_no_query() {
        let recent = Recent::new(1 << 20);
        recent.push(batch(5..=6));
        recent.push(batch(7..=9));
        assert_eq!(positions(&recent, 4, 10), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(positions(&recent, 6, 2), Some(vec![7, 8]));
        assert_eq!(positions(&recent, 9, 10), None);
        assert_eq!(positions(&recent, 3, 10), None);
    }

    #[test]
    fn a_filter_still_moves_on() {
        let recent = Recent::new(1 << 20);
        recent.push(batch(1..=3));
        let found = recent.after(Position(0), &[Family::Account], 10).unwrap();
        assert_eq!((found.events.len(), found.through), (0, Position(3)));
    }

    #[test]
    fn events_of_another_node_in_between_empty_the_window() {
        let recent = Recent::new(1 << 20);
        recent.push(batch(1..=3));
        recent.push(batch(5..=6));
        assert_eq!(positions(&recent, 0, 10), None);
        assert_eq!(positions(&recent, 4, 10), Some(vec![5, 6]));
    }

    #[test]
    fn old_events_make_room_for_new_ones() {
        let recent = Recent::new(2 * size(&batch(1..=10)));
        for start in [1, 11, 21] {
            recent.push(batch(start..=start + 9));
        }
        assert_eq!(positions(&recent, 0, 1), None);
        assert_eq!(positions(&recent, 10, 1), Some(vec![11]));
    }
}
