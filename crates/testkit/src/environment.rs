//! Time and randomness that tests hold in their hands.

use std::sync::Mutex;
use std::time::Duration;

use events::Timestamp;
use events::ports::{Clock, Entropy};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct FrozenClock(Mutex<Timestamp>);

impl FrozenClock {
    /// 2026-01-01 00:00:00 UTC.
    pub const START_MILLIS: u64 = 1_767_225_600_000;

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self
            .0
            .lock()
            .expect("no test panics while it holds the clock");
        *now = now.plus(by);
    }

    /// Sets the clock.
    pub fn set(&self, to: Timestamp) {
        *self
            .0
            .lock()
            .expect("no test panics while it holds the clock") = to;
    }
}

impl Default for FrozenClock {
    fn default() -> Self {
        let start = Timestamp::from_epoch_millis(Self::START_MILLIS).expect("2026 is in range");
        Self(Mutex::new(start))
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        *self
            .0
            .lock()
            .expect("no test panics while it holds the clock")
    }
}

/// Randomness that is the same in every run.
pub struct SeededEntropy(Mutex<ChaCha20Rng>);

impl SeededEntropy {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl Default for SeededEntropy {
    fn default() -> Self {
        Self::new(42)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .expect("no test panics while it draws")
            .fill_bytes(bytes);
    }
}
