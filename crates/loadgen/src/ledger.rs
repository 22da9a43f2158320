//! What was promised and what came: loss, repeats, order, and how long it took.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes};
use hdrhistogram::Histogram;

/// What a message says of itself. The rest of its content is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which run: what an earlier one left in the queues does not count.
    pub run: u64,
    /// Which device sent it.
    pub from: u32,
    /// To which.
    pub to: u32,
    /// The how-many-eth of this pair, from 0.
    pub number: u64,
    /// When it was due, in microseconds of the run.
    pub due: u64,
}

impl Stamp {
    /// The bytes of a stamp.
    pub const LENGTH: usize = 32;

    /// A content of at least this many bytes.
    pub fn content(&self, size: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(size.max(Self::LENGTH));
        content.put_u64(self.run);
        content.put_u32(self.from);
        content.put_u32(self.to);
        content.put_u64(self.number);
        content.put_u64(self.due);
        content.resize(size.max(Self::LENGTH), 0xa5);
        content
    }

    /// The stamp of a content, if it has one.
    pub fn of(mut content: Bytes) -> Option<Self> {
        (content.len() >= Self::LENGTH).then(|| Self {
            run: content.get_u64(),
            from: content.get_u32(),
            to: content.get_u32(),
            number: content.get_u64(),
            due: content.get_u64(),
        })
    }
}

/// The account of one pair of devices.
#[derive(Debug, Default)]
struct Pair {
    /// Messages up to here were answered, with 200 unless they are among `refused`.
    answered: u64,
    refused: BTreeSet<u64>,
    /// Messages up to here have come, unless they are among `missing`.
    come: u64,
    missing: BTreeSet<u64>,
}

/// What a message that came is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coming {
    First,
    Late,
    Again,
}

impl Pair {
    fn comes(&mut self, number: u64) -> Coming {
        if number >= self.come {
            self.missing.extend(self.come..number);
            self.come = number + 1;
            Coming::First
        } else if self.missing.remove(&number) {
            Coming::Late
        } else {
            Coming::Again
        }
    }

    /// Messages that were promised and have not come.
    fn outstanding(&self) -> usize {
        let promised = (self.come..self.answered).filter(|number| !self.refused.contains(number));
        let passed = self
            .missing
            .iter()
            .filter(|number| **number < self.answered && !self.refused.contains(number));
        promised.count() + passed.count()
    }
}

/// The books of a run.
#[derive(Debug)]
pub struct Ledger {
    run: u64,
    began: Instant,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    pairs: HashMap<(u32, u32), Pair>,
    totals: Totals,
    /// From due to delivered, in microseconds.
    delivery: Histogram<u64>,
    /// From due to answered.
    answer: Histogram<u64>,
    last: Duration,
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Answered with 200.
    pub accepted: u64,
    /// Answered with something else, for good.
    pub refused: u64,
    /// Sent once more, because the connection ended before the answer or the server asked for it.
    pub resent: u64,
    /// Answered 429 or 5xx, and sent again after a pause. They count as resent, too.
    pub busy: u64,
    /// Delivered for the first time.
    pub delivered: u64,
    /// Delivered once more.
    pub repeated: u64,
    /// Delivered after a later one of the same pair.
    pub disordered: u64,
    /// Receipts.
    pub receipts: u64,
    /// Connections that ended although nobody wanted them to.
    pub disconnected: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are sound")
}

impl Ledger {
    /// Empty books. Times count from now.
    pub fn new(run: u64) -> Self {
        Self {
            run,
            began: Instant::now(),
            books: Mutex::new(Books {
                pairs: HashMap::new(),
                totals: Totals::default(),
                delivery: histogram(),
                answer: histogram(),
                last: Duration::ZERO,
            }),
        }
    }

    /// The number of the run.
    pub const fn run(&self) -> u64 {
        self.run
    }

    /// When the run began.
    pub const fn began(&self) -> Instant {
        self.began
    }

    fn since(&self, due: u64) -> u64 {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        now.saturating_sub(due).max(1)
    }

    /// A message was answered. Those of a pair are sent one after the other, so they are answered in order.
    pub fn answered(&self, stamp: &Stamp, accepted: bool) {
        let took = self.since(stamp.due);
        let mut books = self.books();
        let pair = books.pairs.entry((stamp.from, stamp.to)).or_default();
        pair.answered = stamp.number + 1;
        if accepted {
            books.totals.accepted += 1;
            books.answer.saturating_record(took);
        } else {
            pair.refused.insert(stamp.number);
            books.totals.refused += 1;
        }
    }

    /// A message has arrived at device `at`.
    pub fn delivered(&self, at: u32, stamp: &Stamp) {
        if stamp.run != self.run || stamp.to != at {
            return;
        }
        let took = self.since(stamp.due);
        let mut books = self.books();
        let pair = books.pairs.entry((stamp.from, stamp.to)).or_default();
        match pair.comes(stamp.number) {
            Coming::Again => return books.totals.repeated += 1,
            Coming::Late => books.totals.disordered += 1,
            Coming::First => {}
        }
        books.totals.delivered += 1;
        books.delivery.saturating_record(took);
        books.last = self.began.elapsed();
    }

    /// Counts something else.
    pub fn count(&self, what: impl FnOnce(&mut Totals)) {
        what(&mut self.books().totals);
    }

    /// Messages that were promised and have not come.
    pub fn outstanding(&self) -> usize {
        self.books().pairs.values().map(Pair::outstanding).sum()
    }

    /// The totals, the latencies of deliveries and of answers, and when the last message came.
    pub fn close(&self) -> (Totals, Histogram<u64>, Histogram<u64>, Duration) {
        let books = self.books();
        (
            books.totals,
            books.delivery.clone(),
            books.answer.clone(),
            books.last,
        )
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books
            .lock()
            .expect("nothing panics while it keeps the books")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> Stamp {
        Stamp {
            run: 1,
            from: 2,
            to: 3,
            number,
            due: 0,
        }
    }

    fn after(promised: u64, came: &[u64]) -> (Ledger, Totals) {
        let ledger = Ledger::new(1);
        for number in 0..promised {
            ledger.answered(&stamp(number), true);
        }
        for number in came {
            ledger.delivered(3, &stamp(*number));
        }
        let totals = ledger.close().0;
        (ledger, totals)
    }

    #[test]
    fn a_stamp_survives_its_content() {
        for size in [0, 32, 1024] {
            let content = stamp(7).content(size);
            assert_eq!(content.len(), size.max(Stamp::LENGTH));
            assert_eq!(Stamp::of(content.into()), Some(stamp(7)));
        }
        assert_eq!(Stamp::of(Bytes::from_static(b"short")), None);
    }

    #[test]
    fn what_comes_once_and_in_order_is_fine() {
        let (ledger, totals) = after(4, &[0, 1, 2, 3]);
        assert_eq!((ledger.outstanding(), totals.delivered), (0, 4));
        assert_eq!((totals.repeated, totals.disordered), (0, 0));
        assert_eq!(ledger.close().1.len(), 4);
    }

    #[test]
    fn loss_is_seen_in_the_middle_and_at_the_end() {
        assert_eq!(after(4, &[0, 2]).0.outstanding(), 2);
        assert_eq!(after(4, &[]).0.outstanding(), 4);
        assert_eq!(after(4, &[3]).0.outstanding(), 3);
    }

    #[test]
    fn disorder_and_repeats_are_told_apart() {
        let (ledger, totals) = after(4, &[1, 0, 0, 1, 3, 2]);
        assert_eq!(
            (totals.disordered, totals.repeated, ledger.outstanding()),
            (2, 2, 0)
        );
    }

    #[test]
    fn what_was_refused_or_not_answered_may_be_missing() {
        let (ledger, _) = after(2, &[0, 1, 2]);
        assert_eq!(ledger.outstanding(), 0, "answered later than delivered");
        ledger.answered(&stamp(2), true);
        ledger.answered(&stamp(3), false);
        ledger.answered(&stamp(4), true);
        assert_eq!(ledger.outstanding(), 1);
        ledger.delivered(3, &stamp(4));
        assert_eq!(ledger.outstanding(), 0);
    }

    #[test]
    fn what_another_run_left_does_not_count() {
        let ledger = Ledger::new(2);
        ledger.delivered(3, &stamp(0));
        assert_eq!(ledger.close().0, Totals::default());
    }
}
