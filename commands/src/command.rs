//! The shape of a command.

use std::error::Error;

use async_trait::async_trait;
use events::StreamId;

use crate::executor::work::Work;

/// Something that somebody wants to happen, with all that it takes: ids and secrets were minted at the door, so that a
/// command that is run again is the same command.
#[async_trait]
pub trait Command: Send + Sync {
    /// What the caller learns when it has happened.
    type Done: Send;
    /// Why it may not happen.
    type Refused: Refusal;
    /// For log lines and metrics.
    const NAME: &'static str;

    /// The stream for whose turn concurrent runs on this node queue, instead of spoiling each other's writes. `None` where
    /// conflicts are impossible or rare.
    fn turn(&self) -> Option<StreamId> {
        None
    }

    /// Loads the streams that the rule decides on, asks the rule, records what it says. May run more than once: nothing
    /// takes effect before the executor has appended what was recorded.
    async fn run(&self, work: &mut Work<'_>) -> Result<Self::Done, Stop<Self::Refused>>;
}

/// A reason why a command may not take effect: the list of cases that its caller has to tell apart.
pub trait Refusal: Error + Send + 'static {}

/// The refusal of a command that is never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeverRefused {}

impl Refusal for NeverRefused {}

/// Why a run ended without its answer.
#[derive(Debug)]
pub enum Stop<R> {
    /// The rule says no. What was recorded is dropped.
    Refused(R),
    /// The rule says no, and that it said so is a fact with consequences: what was recorded is appended.
    RefusedOnRecord(R),
    /// What was read is out of date already. Look and decide again.
    Stale,
    /// Something outside failed.
    Unavailable(Unavailable),
}

impl<R: Refusal> From<R> for Stop<R> {
    fn from(refused: R) -> Self {
        Self::Refused(refused)
    }
}

/// A store could not be reached, or holds what cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unavailable(pub Box<dyn Error + Send + Sync>);

impl Unavailable {
    /// Wraps what went wrong.
    pub fn from_source(source: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }
}

impl<R> From<Unavailable> for Stop<R> {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}
