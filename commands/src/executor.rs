//! Runs commands: load, decide, append, and once more if somebody was faster. The whole concurrency story is here.
//!
//! The first time a command is decided on the states that this node remembers, without a query: the append names them as
//! its guards, and is not stored if any of these streams has gone on. A refusal, or that nothing has to happen, is never
//! told on the strength of memory alone: then, as after an append that failed, the streams are read.

mod cache;
mod encode;
mod event_id;
mod load;
pub mod own;
mod turns;
pub mod work;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use events::personal::SubjectKeys;
use events::ports::{Clock, Entropy};
use events::store::PayloadStore;
use events::{
    Actor, Append, AppendError, Appended, EventId, EventStore, Expected, Family, Guard, Payload,
    Position, RequestId, Timestamp,
};
use uuid::Uuid;

use crate::command::{Command, Stop, Unavailable};
use cache::Cache;
use own::OwnEvents;
use turns::Turns;
use work::{Work, Write};

/// How often a command is decided before it is given up.
pub const MAX_ATTEMPTS: u32 = 10;

/// The longest pause before the second decision; it doubles with each further one, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const MAX_PAUSE: Duration = Duration::from_millis(64);

/// Runs commands against the log. One for a node; share it in an `Arc`.
pub struct Executor {
    store: Arc<dyn EventStore>,
    keys: Arc<dyn SubjectKeys>,
    payloads: Arc<dyn PayloadStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    cache: Cache,
    turns: Turns,
}

/// Who asks, when, and through which request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// When the request came in. Rules know no other time.
    pub at: Timestamp,
    /// On whose authority.
    pub actor: Actor,
    /// The request; the ids of its events derive from it.
    pub request: RequestId,
    /// The event because of which a reactor or job asks.
    pub causation: Option<EventId>,
    /// The chain of requests that this one belongs to.
    pub correlation: Option<Uuid>,
    /// Set for a request that may have been carried out before: it is run on the state that it saw then.
    pub again: Option<Arc<OwnEvents>>,
}

impl RequestContext {
    /// The chain of requests that this one belongs to: its own, if nobody named one.
    pub fn chain(&self) -> Uuid {
        self.correlation.unwrap_or(self.request.0)
    }
}

/// The id of a request: it begins with its time, as UUID version 7 does, and goes on as `seed` does.
pub fn request_id(millis: u64, seed: &[u8; 32]) -> RequestId {
    let random = seed.first_chunk().expect("32 bytes begin with 10");
    RequestId(event_id::version_7(millis, random))
}

/// A command that took effect, or had already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed<D> {
    /// What the command answers.
    pub done: D,
    /// The last event that it caused; `None` if nothing had to happen.
    pub position: Option<Position>,
}

/// Why a command did not take effect. `Refused` is the caller's business; the rest is ours.
#[derive(Debug, thiserror::Error)]
pub enum Failure<R: Error> {
    /// The rule says no.
    #[error(transparent)]
    Refused(R),
    /// Others were faster every time.
    #[error("gave up after {attempts} conflicting writes")]
    Contended {
        /// How often it was decided.
        attempts: u32,
    },
    /// The log takes no more at the moment. Nothing happened.
    #[error("the log is overloaded; try again in {retry_after:?}")]
    Overloaded {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// A store failed. Whether the command took effect may be unknown.
    #[error("a store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// What became of an append that was tried.
enum Tried {
    Stored(Option<Position>),
    Beaten,
}

impl Executor {
    /// An executor with an empty cache.
    pub fn new(
        store: Arc<dyn EventStore>,
        keys: Arc<dyn SubjectKeys>,
        payloads: Arc<dyn PayloadStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            keys,
            payloads,
            clock,
            entropy,
            cache: Cache::default(),
            turns: Turns::default(),
        }
    }

    /// The context of a request that comes in now: with a fresh id that begins with the time, as UUID version 7 does.
    pub fn request_by(&self, actor: Actor) -> RequestContext {
        let at = self.clock.now();
        RequestContext {
            at,
            actor,
            request: RequestId(event_id::version_7(
                at.epoch_millis(),
                &self.entropy.bytes(),
            )),
            causation: None,
            correlation: None,
            again: None,
        }
    }

    /// Runs the command until its events are stored, it is refused, or [`MAX_ATTEMPTS`] decisions were all overtaken.
    pub async fn execute<C: Command>(
        &self,
        command: &C,
        context: &RequestContext,
    ) -> Result<Executed<C::Done>, Failure<C::Refused>> {
        let _turn = match command.turn() {
            Some(stream) => Some(self.turns.take(stream).await),
            None => None,
        };
        for attempt in 1..=MAX_ATTEMPTS {
            // What this node remembers is nearly always how things stand, and the append finds out if it is not.
            let from_memory = attempt == 1 && context.again.is_none() && self.store.checks_guards();
            let mut work = Work::new(self, context, from_memory);
            let ran = command.run(&mut work).await;
            let (writes, remembered) = work.finish();
            let from_memory = !remembered.is_empty();
            let answer = match ran {
                Ok(done) => Ok(done),
                Err(Stop::RefusedOnRecord(refused)) => Err(Failure::Refused(refused)),
                // Nothing is appended that would find out.
                Err(_) if from_memory => continue,
                Err(Stop::Refused(refused)) => return Err(Failure::Refused(refused)),
                Err(Stop::Unavailable(Unavailable(source))) => {
                    return Err(Failure::Unavailable(source));
                }
                Err(Stop::Stale) => {
                    self.pause(attempt, context).await;
                    continue;
                }
            };
            if from_memory && writes.is_empty() {
                continue;
            }
            match self.commit(writes, remembered, context).await? {
                Tried::Stored(position) => return answer.map(|done| Executed { done, position }),
                Tried::Beaten => {
                    tracing::debug!(
                        command = C::NAME,
                        attempt,
                        from_memory,
                        "decided on an outdated state"
                    );
                    if !from_memory {
                        self.pause(attempt, context).await;
                    }
                }
            }
        }
        Err(Failure::Contended {
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Appends what a run has recorded, if what it took from memory is still so.
    async fn commit<R: Error>(
        &self,
        mut writes: Vec<Write>,
        mut remembered: Vec<Guard>,
        context: &RequestContext,
    ) -> Result<Tried, Failure<R>> {
        if writes.is_empty() {
            return Ok(Tried::Stored(None));
        }
        let counts: Vec<_> = writes
            .iter()
            .filter(|_| context.again.is_some())
            .map(|write| (write.stream.clone(), write.events.len()))
            .collect();
        let mut append = encode::encode(self, &mut writes, context)
            .await
            .map_err(|Unavailable(source)| Failure::Unavailable(source))?;
        // Of a stream that is written to at a known place, the place is compared anyway.
        let compared = |guard: &Guard| {
            let mut writes = append.writes.iter();
            writes.any(|it| it.stream == guard.stream && it.expected != Expected::Any)
        };
        remembered.retain(|guard| !compared(guard));
        append.guards = remembered;
        self.payloads.keep_at_hand(&messages(&append)).await;
        let appended = match self.append(append).await {
            Ok(appended) => appended,
            Err(AppendError::WrongRevision { .. }) => return Ok(Tried::Beaten),
            Err(AppendError::Overloaded { retry_after }) => {
                return Err(Failure::Overloaded { retry_after });
            }
            Err(AppendError::Unavailable(source)) => return Err(Failure::Unavailable(source)),
            Err(error @ (AppendError::IdReused { .. } | AppendError::TooLarge { .. })) => {
                return Err(Failure::Unavailable(error.into()));
            }
        };
        if let Some(own) = &context.again {
            for (stream, events) in counts {
                own.add(&stream, events);
            }
        }
        self.remember(writes, &appended).await;
        Ok(Tried::Stored(Some(appended.position)))
    }

    /// Appends, and once more where the outcome is unknown: the event ids are the same, so nothing is stored twice.
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        match self.store.append(append.clone()).await {
            Err(AppendError::Unavailable(_)) => self.store.append(append).await,
            outcome => outcome,
        }
    }

    /// Brings the cached states forward by what was just stored, without another read.
    async fn remember(&self, writes: Vec<Write>, appended: &Appended) {
        for (write, revision) in writes.into_iter().zip(&appended.revisions) {
            match write.advanced {
                Some(state) if !appended.repeated => {
                    self.cache.put(write.stream, state, *revision).await;
                }
                // Of a repeat it is not known what else the stream has seen.
                Some(_) => self.cache.forget(&write.stream).await,
                None => {}
            }
        }
    }

    /// Waits for a random while, longer from time to time, so that rivals fall out of step.
    async fn pause(&self, attempt: u32, context: &RequestContext) {
        let longest = (FIRST_PAUSE * 2_u32.pow(attempt.min(8) - 1)).min(MAX_PAUSE);
        // Not drawn from the source of randomness: a request that is run again draws what it drew before.
        let share = event_id::share(context.request, attempt);
        tokio::time::sleep(longest.mul_f64(share)).await;
    }
}

/// The contents of messages, which are delivered a moment later if their device is connected.
fn messages(append: &Append) -> Vec<Payload> {
    let mailboxes = append
        .writes
        .iter()
        .filter(|write| write.stream.family() == Family::Mailbox);
    let events = mailboxes.flat_map(|write| &write.events);
    events.flat_map(|event| &event.payloads).cloned().collect()
}
