//! One reader at the end of the log, and many who follow it.
//!
//! The feed decodes what is appended once and hands it to every [`Tail`]. A tail that is behind (it has just begun, was
//! wound back, or is slow) reads the log by itself until it meets what the feed hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::codec::Fact;
use events::{Batch, Family, Position, ReadError};
use futures::StreamExt as _;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::decode::{FeedError, Reader, Stretch, Unreadable};

/// How many stretches a tail may be behind before it reads by itself. Bounds the memory that a slow one costs.
const HANDED_OUT: usize = 64;

/// How many events a tail reads at once when it reads by itself.
const READ_AT_ONCE: usize = 2_000;

/// How much a tail puts together to one portion.
const PORTION_FACTS: usize = 5_000;
const PORTION_BYTES: usize = 8 << 20;

/// What reads the end of the log. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Feed {
    reader: Reader,
    stretches: broadcast::Sender<Arc<Stretch>>,
    seen: watch::Sender<Position>,
    /// How many positions a thousand events take. A thousand, where they are dense; otherwise a running mean, and 0 as
    /// long as nobody knows.
    spacing: Arc<AtomicU64>,
}

const THOUSAND: u64 = 1_000;

impl Feed {
    /// A feed of what `reader` reads. Nothing is read before [`Self::run`].
    pub fn new(reader: Reader) -> Self {
        let dense = reader.store().has_dense_positions();
        Self {
            reader,
            spacing: Arc::new(AtomicU64::new(if dense { THOUSAND } else { 0 })),
            stretches: broadcast::Sender::new(HANDED_OUT),
            seen: watch::Sender::new(Position::START),
        }
    }

    /// How far the log is known to reach.
    pub fn seen(&self) -> Position {
        *self.seen.borrow()
    }

    /// How many events stand after one position up to another; an estimate, where positions are not dense.
    pub(crate) fn events_between(&self, from: Position, to: Position) -> u64 {
        let distance = to.0.saturating_sub(from.0);
        let spacing = self.spacing.load(Ordering::Relaxed).max(THOUSAND);
        (distance.saturating_mul(THOUSAND) / spacing).max(u64::from(distance > 0))
    }

    /// Takes note of how far apart the events of a batch stand.
    fn measure(&self, after: Position, batch: &Batch) {
        if self.reader.store().has_dense_positions() || batch.events.is_empty() {
            return;
        }
        let distance = batch.through.0.saturating_sub(after.0);
        let spacing = distance.saturating_mul(THOUSAND) / batch.events.len() as u64;
        let before = self.spacing.load(Ordering::Relaxed);
        let mean = if before == 0 {
            spacing
        } else {
            (before * 7 + spacing) / 8
        };
        self.spacing.store(mean, Ordering::Relaxed);
    }

    /// The position of the log's last event.
    pub(crate) async fn head(&self) -> Result<Position, ReadError> {
        self.reader.store().head().await
    }

    /// Follows the log from its end on until `shutdown`, through every failure.
    pub async fn run(&self, shutdown: CancellationToken) {
        let follow = async {
            let mut position = None;
            let mut backoff = Backoff::default();
            loop {
                if let Err(error) = self.follow(&mut position, &mut backoff).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        ?position,
                        "the log cannot be followed; trying again"
                    );
                }
                backoff.wait().await;
            }
        };
        shutdown.run_until_cancelled(follow).await;
    }

    /// Follows the log from `position` (its end, at first), and keeps `position` at what was handed out.
    async fn follow(
        &self,
        position: &mut Option<Position>,
        backoff: &mut Backoff,
    ) -> Result<(), FeedError> {
        let from = match *position {
            Some(position) => position,
            None => *position.insert(self.reader.store().head().await?),
        };
        self.saw(from);
        // Whoever had read up to somewhere before it finds out that there is a gap, and reads it.
        _ = self.stretches.send(Arc::new(Stretch {
            after: from,
            through: from,
            ..Stretch::default()
        }));
        let mut batches = self.reader.store().follow(from, &Family::ALL);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let after = position.unwrap_or(from);
            // Who begins to follow in this very moment reads these events by itself.
            let stretch = if self.stretches.receiver_count() > 0 {
                Some(self.reader.decode(after, &batch).await?)
            } else {
                None
            };
            self.measure(after, &batch);
            *position = Some(batch.through);
            // Seen first: what a tail has not seen by then, it is handed.
            self.saw(batch.through);
            if let Some(stretch) = stretch {
                _ = self.stretches.send(Arc::new(stretch));
            }
            backoff.reset();
        }
        Ok(())
    }

    fn saw(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let further = position > *seen;
            *seen = position.max(*seen);
            further
        });
    }

    /// Follows the events of `families` after `after`: first what is there, then what comes.
    pub(crate) fn tail(&self, families: &'static [Family], after: Position) -> Tail {
        Tail {
            reader: self.reader.clone(),
            families,
            position: after,
            stretches: self.stretches.subscribe(),
            seen: self.seen.subscribe(),
            ahead: None,
        }
    }
}

/// One who follows the log.
pub(crate) struct Tail {
    reader: Reader,
    families: &'static [Family],
    position: Position,
    stretches: broadcast::Receiver<Arc<Stretch>>,
    /// A stretch from the feed that is not taken yet: it may begin behind a gap.
    ahead: Option<Arc<Stretch>>,
    /// How far the feed has come: all that is further will be handed out.
    seen: watch::Receiver<Position>,
}

/// What came next for one who follows.
#[derive(Debug)]
pub(crate) struct Portion {
    stretches: Vec<Arc<Stretch>>,
    families: &'static [Family],
    after: Position,
    /// How far it reaches.
    pub(crate) through: Position,
}

impl Portion {
    /// The events, in order.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Arc<Fact>> {
        let facts = self.stretches.iter().flat_map(|stretch| &stretch.facts);
        facts.filter(|it| it.position > self.after && self.families.contains(&it.stream.family()))
    }

    /// The last position before `position` that is known to be one. The next number down need not be.
    pub(crate) fn last_before(&self, position: Position) -> Position {
        let facts = self.facts().map(|fact| fact.position);
        let known = facts.chain(self.unreadable().map(|it| it.position));
        let before = known.filter(|it| *it < position);
        before.max().unwrap_or(self.after)
    }

    /// Events that nobody can read, in order.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        let unreadable = self
            .stretches
            .iter()
            .flat_map(|stretch| &stretch.unreadable);
        unreadable.filter(|it| it.position > self.after && self.families.contains(&it.family))
    }
}

impl Tail {
    /// How far everything has been handed over.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Goes on from another place.
    pub(crate) fn seek(&mut self, position: Position) {
        self.position = position;
        self.ahead = None;
    }

    /// Whatever comes next: all that is there, up to a bound, or the next that comes. Nothing is lost when the future
    /// is dropped.
    pub(crate) async fn next(&mut self) -> Result<Portion, FeedError> {
        let first = self.first().await?;
        let mut portion = Portion {
            families: self.families,
            after: self.position,
            through: first.through,
            stretches: vec![first],
        };
        self.fill(&mut portion);
        self.position = portion.through;
        Ok(portion)
    }

    /// The stretch that continues where this one stands.
    async fn first(&mut self) -> Result<Arc<Stretch>, FeedError> {
        loop {
            if self.ahead.is_none() && !self.take_ahead() {
                if self.is_behind() {
                    let own = self.read().await?;
                    if own.through > self.position {
                        return Ok(own);
                    }
                }
                self.wait_ahead().await;
            }
            match self.ahead.take() {
                Some(stretch) if stretch.through <= self.position => {}
                Some(stretch) if stretch.after <= self.position => return Ok(stretch),
                Some(stretch) => {
                    self.ahead = Some(stretch);
                    return self.read().await;
                }
                None => {}
            }
        }
    }

    /// Whether the feed has handed out, or passed over, what this one has not taken: what it lost, and what came before it.
    fn is_behind(&self) -> bool {
        *self.seen.borrow() > self.position
    }

    async fn read(&self) -> Result<Arc<Stretch>, FeedError> {
        let stretch = self
            .reader
            .read(self.position, self.families, READ_AT_ONCE)
            .await?;
        Ok(Arc::new(stretch))
    }

    /// Takes from the feed what it has handed out already; tells whether there was anything.
    fn take_ahead(&mut self) -> bool {
        loop {
            match self.stretches.try_recv() {
                Ok(stretch) => {
                    self.ahead = Some(stretch);
                    return true;
                }
                // What is lost lies before what the feed has seen.
                Err(TryRecvError::Lagged(_)) => {}
                // Closed cannot be: `Reader` and `Feed` live as long as each other in the component.
                Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
            }
        }
    }

    async fn wait_ahead(&mut self) {
        match self.stretches.recv().await {
            Ok(stretch) => self.ahead = Some(stretch),
            Err(RecvError::Lagged(_)) => {}
            // The feed is gone, and with it whoever waits here.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Adds what has been handed out meanwhile, up to the bounds of a portion.
    fn fill(&mut self, portion: &mut Portion) {
        let mut facts = portion.stretches[0].facts.len();
        let mut bytes = portion.stretches[0].bytes;
        while facts < PORTION_FACTS && bytes < PORTION_BYTES {
            if self.ahead.is_none() && !self.take_ahead() {
                return;
            }
            match self.ahead.take() {
                Some(stretch) if stretch.through <= portion.through => {}
                Some(stretch) if stretch.after == portion.through => {
                    facts += stretch.facts.len();
                    bytes += stretch.bytes;
                    portion.through = stretch.through;
                    portion.stretches.push(stretch);
                }
                // It overlaps, or lies behind a gap: the next call sees to it.
                other => {
                    self.ahead = other;
                    return;
                }
            }
        }
    }
}
