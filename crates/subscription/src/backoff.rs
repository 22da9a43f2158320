//! Waiting a little longer after each failure.

use std::time::Duration;

/// Doubles from the shortest to the longest wait; a success starts it over.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    /// Waits after a failure.
    pub(crate) async fn wait(&mut self) {
        let wait = Self::SHORTEST
            .saturating_mul(1 << self.0.min(16))
            .min(Self::LONGEST);
        self.0 += 1;
        tokio::time::sleep(wait).await;
    }

    /// Whether there was a failure since the last success.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.0 > 0
    }

    /// Notes a success.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }
}
