//! What the tests of the rules stand on: given what happened, when a rule is asked, then this is what it says.

pub(crate) mod fixtures;
pub(crate) mod world;

use std::fmt::Debug;
use std::time::Duration;

use events::Timestamp;
use testkit::environment::FrozenClock;

use crate::aggregate::Aggregate;

/// The moment from which seconds count in tests.
pub(crate) fn at(seconds: u64) -> Timestamp {
    let start = Timestamp::from_epoch_millis(FrozenClock::START_MILLIS).unwrap();
    start.plus(Duration::from_secs(seconds))
}

/// A state with a history: events, and the seconds at which they happened.
pub(crate) fn given<A: Aggregate>(history: impl IntoIterator<Item = (u64, A::Event)>) -> Given<A> {
    let mut given = Given {
        state: A::default(),
        seconds: 0,
    };
    for (seconds, event) in history {
        given.state.evolve(&event, at(seconds));
        given.seconds = seconds;
    }
    given
}

/// A state, and the time.
pub(crate) struct Given<A> {
    state: A,
    seconds: u64,
}

impl<A: Aggregate> Given<A> {
    /// Asks at a later time than that of the last event.
    pub(crate) fn at(self, seconds: u64) -> Self {
        Self { seconds, ..self }
    }

    /// Asks the rule.
    pub(crate) fn when<T>(&self, rule: impl FnOnce(&A, Timestamp) -> T) -> Said<T> {
        Said(rule(&self.state, at(self.seconds)))
    }
}

/// What a rule said.
#[derive(Debug)]
#[must_use]
pub(crate) struct Said<T>(pub(crate) T);

impl<T: Debug + PartialEq> Said<T> {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "expectations read as sentences"
    )]
    #[track_caller]
    pub(crate) fn then(self, expected: T) {
        assert_eq!(self.0, expected);
    }
}

impl<T: Debug, R: Debug> Said<Result<T, R>> {
    #[track_caller]
    pub(crate) fn accepts(self, expected: impl Into<T>)
    where
        T: PartialEq,
    {
        assert_eq!(self.0.unwrap(), expected.into());
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "expectations read as sentences"
    )]
    #[track_caller]
    pub(crate) fn refuses(self, expected: R)
    where
        R: PartialEq,
    {
        assert_eq!(self.0.unwrap_err(), expected);
    }

    /// For refusals that carry more than the test is about.
    #[track_caller]
    pub(crate) fn refuses_like(self, expected: impl FnOnce(&R) -> bool) {
        let refused = self.0.unwrap_err();
        assert!(expected(&refused), "{refused:?}");
    }
}
