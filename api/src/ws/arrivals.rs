//! The newest messages of a connected device, as their events came: who has delivered everything else need not ask the inbox
//! for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use events::Position;
use projections::inbox::Arrival;

/// So many are kept. Whoever falls further behind reads the inbox.
const KEPT: usize = 64;

/// Shared by the hub, which adds to them, and the session.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    messages: VecDeque<Arrival>,
    /// The position of the newest that was ever added.
    newest: Position,
    /// The position of the newest that was dropped because there were too many.
    dropped: Position,
}

impl Arrivals {
    /// Adds a message, unless it was heard of before. They come in the order of the log.
    pub(crate) fn add(&self, arrival: Arrival) {
        let mut kept = self.kept();
        let position = arrival.entry.cursor.0;
        if position <= kept.newest {
            return;
        }
        kept.newest = position;
        if kept.messages.len() == KEPT
            && let Some(oldest) = kept.messages.pop_front()
        {
            kept.dropped = oldest.entry.cursor.0;
        }
        kept.messages.push_back(arrival);
    }

    /// The next messages behind `after` with not more than `bytes` of content, or one with more; those up to `after` are
    /// forgotten. `None` if some of them are missing here, or there are none.
    pub(crate) fn behind(&self, after: Position, bytes: usize) -> Option<Vec<Arrival>> {
        let mut kept = self.kept();
        while kept
            .messages
            .pop_front_if(|first| first.entry.cursor.0 <= after)
            .is_some()
        {}
        if kept.messages.is_empty() {
            kept.messages = VecDeque::new(); // an idle session keeps no room for them
            return None;
        }
        if kept.dropped > after {
            return None;
        }
        let mut sum = 0;
        let fitting = kept.messages.iter().take_while(|message| {
            let first = sum == 0;
            sum += message.delivered() as usize;
            first || sum <= bytes
        });
        Some(fitting.cloned().collect())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0
            .lock()
            .expect("nothing panics while it holds the arrivals")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::hub::tests::{address, queued};

    fn arrivals(positions: impl IntoIterator<Item = u64>) -> Arrivals {
        let arrivals = Arrivals::default();
        for position in positions {
            arrivals.add(Arrival::of(&queued(position, address(1, 1))).unwrap());
        }
        arrivals
    }

    fn behind(arrivals: &Arrivals, after: u64) -> Option<Vec<u64>> {
        let found = arrivals.behind(Position(after), usize::MAX)?;
        Some(found.iter().map(|it| it.entry.cursor.0.0).collect())
    }

    #[test]
    fn what_came_is_there_once_and_in_order_until_it_lies_behind() {
        let arrivals = arrivals([3, 5, 5, 3, 8]);
        assert_eq!(behind(&arrivals, 0), Some(vec![3, 5, 8]));
        assert_eq!(behind(&arrivals, 0), Some(vec![3, 5, 8]));
        assert_eq!(behind(&arrivals, 5), Some(vec![8]));
        assert_eq!(behind(&arrivals, 8), None);
    }

    #[test]
    fn whoever_is_too_far_behind_finds_that_something_is_missing() {
        let count = KEPT as u64;
        let arrivals = arrivals(1..=count + 1);
        assert_eq!(behind(&arrivals, 0), None);
        assert_eq!(behind(&arrivals, 1).unwrap().len(), KEPT);
    }
}
