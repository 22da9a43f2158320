//! How often and how fast a session may ask for codes and try them.

use std::time::Duration;

/// The timing of verification sessions. Each list holds the wait before the first, second, … attempt; its length is how many
/// attempts there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationPolicy {
    /// How long a session lives after the last thing that happened in it.
    pub lifetime: Duration,
    /// Before each text message, from the one before.
    pub sms: Vec<Duration>,
    /// Before each call: the first counts from the first text message, without which there is none; the others from the
    /// call before. A number that text messages cannot reach is called at once.
    pub voice: Vec<Duration>,
    /// Before each check of a code, from the check before. A new code starts from the beginning.
    pub checks: Vec<Duration>,
}

impl Default for VerificationPolicy {
    /// The values of the deployed registration service:
    ///
    /// | | 1st | 2nd | 3rd | 4th | 5th |
    /// |---|---|---|---|---|---|
    /// | text message | at once | 1 min | 2 min | 5 min | 10 min |
    /// | call | 1 min after the first text message | 1 min | 5 min | | |
    /// | check of a code | at once | at once | at once | 1 min | 2 min |
    ///
    /// A session lives for 10 minutes.
    fn default() -> Self {
        let minutes = |list: &[u64]| list.iter().copied().map(Duration::from_mins).collect();
        Self {
            lifetime: Duration::from_mins(10),
            sms: minutes(&[0, 1, 2, 5, 10]),
            voice: minutes(&[1, 1, 5]),
            checks: minutes(&[0, 0, 0, 1, 2]),
        }
    }
}
