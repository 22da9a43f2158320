//! How often and how fast a session may ask for codes and try them.

use std::time::Duration;

use events::Timestamp;

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
    /// How many sessions one number may ask for; `None` is any number of them.
    pub sessions: Option<SessionBudget>,
}

/// How many sessions a number may ask for: a bucket that refills one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionBudget {
    /// So many at the most while nothing refills.
    pub size: u32,
    /// How long it takes until there is one more.
    pub refill: Duration,
    /// How far two of them must be apart.
    pub apart: Duration,
}

impl Default for SessionBudget {
    /// The values of the deployed registration service: five, one more every 288 minutes, at least a minute apart.
    fn default() -> Self {
        Self {
            size: 5,
            refill: Duration::from_mins(288),
            apart: Duration::from_mins(1),
        }
    }
}

impl SessionBudget {
    /// How long until another session may be asked for after those at `earlier` moments, in order.
    pub fn wait(&self, earlier: &[Timestamp], at: Timestamp) -> Duration {
        // What is missing in the bucket, as the time that it takes to refill it.
        let mut missing = Duration::ZERO;
        let mut last = None;
        for moment in earlier.iter().copied().filter(|moment| *moment <= at) {
            let passed = last.map_or(Duration::ZERO, |last| moment.since(last));
            missing = missing.saturating_sub(passed) + self.refill;
            last = Some(moment);
        }
        let Some(last) = last else {
            return Duration::ZERO;
        };
        let passed = at.since(last);
        let missing = missing.saturating_sub(passed);
        let room = self.refill * self.size.saturating_sub(1);
        let apart = self.apart.saturating_sub(passed);
        missing.saturating_sub(room).max(apart)
    }
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
    /// A session lives for 10 minutes. Numbers may ask for any number of them; [`SessionBudget::default`] has the values of
    /// the deployed service.
    fn default() -> Self {
        let minutes = |list: &[u64]| list.iter().copied().map(Duration::from_mins).collect();
        Self {
            lifetime: Duration::from_mins(10),
            sms: minutes(&[0, 1, 2, 5, 10]),
            voice: minutes(&[1, 1, 5]),
            checks: minutes(&[0, 0, 0, 1, 2]),
            sessions: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const MINUTE: u64 = 60;

    fn wait(earlier: &[u64], seconds: u64) -> u64 {
        let earlier: Vec<_> = earlier.iter().copied().map(at).collect();
        SessionBudget::default()
            .wait(&earlier, at(seconds))
            .as_secs()
    }

    #[test]
    fn sessions_are_a_minute_apart() {
        assert_eq!(wait(&[], 0), 0);
        assert_eq!(wait(&[0], 0), 60);
        assert_eq!(wait(&[0], 59), 1);
        assert_eq!(wait(&[0], 60), 0);
    }

    #[test]
    fn after_five_sessions_there_is_one_every_288_minutes() {
        let five = [0, 1, 2, 3, 4].map(|minute| minute * MINUTE);
        assert_eq!(wait(&five[..4], 4 * MINUTE), 0);
        assert_eq!(wait(&five, 5 * MINUTE), 283 * MINUTE);
        assert_eq!(wait(&five, 288 * MINUTE), 0);
        let six = [&five[..], &[288 * MINUTE]].concat();
        assert_eq!(wait(&six, 290 * MINUTE), 286 * MINUTE);
        assert_eq!(wait(&six, 576 * MINUTE), 0);
    }
}
