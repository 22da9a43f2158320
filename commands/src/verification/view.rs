//! What a session looks like to its client, computed from a few facts that a row can hold as well as a stream.

use std::time::Duration;

use events::Timestamp;
use events::verification::{Proof, Transport};

use super::policy::VerificationPolicy;

/// What is known of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// The proofs that are still asked for, in the order of asking. Any one of them is enough.
    pub required: Vec<Proof>,
    /// Text messages with codes.
    pub sms: Sends,
    /// Calls with codes.
    pub voice: Sends,
    /// Checks of the code that is outstanding; `None` if none is.
    pub checks: Option<Checks>,
    /// Whether the right code was submitted.
    pub verified: bool,
    /// When something last happened.
    pub last_action: Timestamp,
}

/// Codes that went out on one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sends {
    /// How many.
    pub count: u32,
    /// When the first went out.
    pub first: Option<Timestamp>,
    /// When the last went out.
    pub last: Option<Timestamp>,
    /// Whether this way turned out not to lead to the number.
    pub closed: bool,
}

/// Wrong codes that were submitted since a code last went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// How many.
    pub count: u32,
    /// When the last was submitted.
    pub last: Option<Timestamp>,
}

/// A session as its client sees it. Times are in whole seconds from now, rounded up; `None` is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Until a text message may be asked for.
    pub next_sms: Option<u64>,
    /// Until a call may be asked for.
    pub next_call: Option<u64>,
    /// Until a code may be submitted.
    pub next_verification_attempt: Option<u64>,
    /// Whether all proofs are there.
    pub allowed_to_request_code: bool,
    /// The proofs that are not.
    pub requested_information: Vec<Proof>,
    /// Whether the number is verified.
    pub verified: bool,
}

impl SessionView {
    /// The view of a session at a moment.
    pub fn of(facts: &SessionFacts, policy: &VerificationPolicy, at: Timestamp) -> Self {
        let next = |transport| facts.next_send(transport, policy, at).map(seconds);
        Self {
            next_sms: next(Transport::Sms),
            next_call: next(Transport::Voice),
            next_verification_attempt: facts.next_check(policy, at).map(seconds),
            allowed_to_request_code: facts.required.is_empty(),
            requested_information: facts.required.clone(),
            verified: facts.verified,
        }
    }
}

fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

impl SessionFacts {
    /// Whether the session is over.
    pub fn has_expired(&self, policy: &VerificationPolicy, at: Timestamp) -> bool {
        at.since(self.last_action) >= policy.lifetime
    }

    /// What is known of one way.
    pub const fn sends(&self, transport: Transport) -> &Sends {
        match transport {
            Transport::Sms => &self.sms,
            Transport::Voice => &self.voice,
        }
    }

    pub(super) const fn sends_mut(&mut self, transport: Transport) -> &mut Sends {
        match transport {
            Transport::Sms => &mut self.sms,
            Transport::Voice => &mut self.voice,
        }
    }

    /// How long until a code may go out on this way; `None` if never. Proofs that are still asked for do not count here.
    pub fn next_send(
        &self,
        transport: Transport,
        policy: &VerificationPolicy,
        at: Timestamp,
    ) -> Option<Duration> {
        let sends = self.sends(transport);
        if self.verified || sends.closed {
            return None;
        }
        match transport {
            Transport::Sms => wait(&policy.sms, sends.count, sends.last, at),
            Transport::Voice if self.sms.closed => wait(&policy.voice, sends.count, sends.last, at),
            Transport::Voice => {
                let first_sms = self.sms.first?;
                wait(
                    &policy.voice,
                    sends.count,
                    sends.last.or(Some(first_sms)),
                    at,
                )
            }
        }
    }

    /// How long until a code may be submitted; `None` if there is none to check, or it was tried too often.
    pub fn next_check(&self, policy: &VerificationPolicy, at: Timestamp) -> Option<Duration> {
        let checks = self.checks.filter(|_| !self.verified)?;
        wait(&policy.checks, checks.count, checks.last, at)
    }
}

/// How long until the attempt after `count` others, the last of which was at `last`.
fn wait(
    delays: &[Duration],
    count: u32,
    last: Option<Timestamp>,
    at: Timestamp,
) -> Option<Duration> {
    let delay = delays.get(usize::try_from(count).ok()?)?;
    Some(last.map_or(Duration::ZERO, |last| delay.saturating_sub(at.since(last))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn sent(times: &[u64]) -> Sends {
        Sends {
            count: u32::try_from(times.len()).unwrap(),
            first: times.first().copied().map(at),
            last: times.last().copied().map(at),
            closed: false,
        }
    }

    fn next(facts: &SessionFacts, seconds: u64) -> (Option<u64>, Option<u64>, Option<u64>) {
        let view = SessionView::of(facts, &VerificationPolicy::default(), at(seconds));
        (
            view.next_sms,
            view.next_call,
            view.next_verification_attempt,
        )
    }

    #[test]
    fn the_first_code_goes_by_text_message_at_once() {
        assert_eq!(next(&SessionFacts::default(), 0), (Some(0), None, None));
    }

    #[test]
    fn a_call_is_possible_a_minute_after_the_first_text_message() {
        let facts = SessionFacts {
            sms: sent(&[0]),
            checks: Some(Checks::default()),
            ..SessionFacts::default()
        };
        assert_eq!(next(&facts, 0), (Some(60), Some(60), Some(0)));
        assert_eq!(next(&facts, 59), (Some(1), Some(1), Some(0)));
        assert_eq!(next(&facts, 60), (Some(0), Some(0), Some(0)));
    }

    #[test]
    fn waits_grow_until_there_is_no_further_attempt() {
        for (sends, wait) in [
            (1, Some(60)),
            (2, Some(120)),
            (3, Some(300)),
            (4, Some(600)),
            (5, None),
        ] {
            let facts = SessionFacts {
                sms: sent(&[0; 5][..sends]),
                ..SessionFacts::default()
            };
            assert_eq!(next(&facts, 0).0, wait, "after {sends} text messages");
        }
        for (calls, wait) in [(1, Some(60)), (2, Some(300)), (3, None)] {
            let (sms, voice) = (sent(&[0]), sent(&[0; 3][..calls]));
            let facts = SessionFacts {
                sms,
                voice,
                ..SessionFacts::default()
            };
            assert_eq!(next(&facts, 0).1, wait, "after {calls} calls");
        }
        for (count, wait) in [
            (0, Some(0)),
            (1, Some(0)),
            (2, Some(0)),
            (3, Some(60)),
            (4, Some(120)),
            (5, None),
        ] {
            let checks = Some(Checks {
                count,
                last: Some(at(0)),
            });
            let facts = SessionFacts {
                sms: sent(&[0]),
                checks,
                ..SessionFacts::default()
            };
            assert_eq!(next(&facts, 0).2, wait, "after {count} wrong codes");
        }
    }

    #[test]
    fn a_number_that_text_messages_cannot_reach_is_called_at_once() {
        let sms = Sends {
            closed: true,
            ..sent(&[0])
        };
        let facts = SessionFacts {
            sms,
            ..SessionFacts::default()
        };
        assert_eq!(next(&facts, 0), (None, Some(0), None));
    }

    #[test]
    fn a_verified_session_has_no_next_step() {
        let facts = SessionFacts {
            sms: sent(&[0]),
            checks: Some(Checks::default()),
            verified: true,
            ..SessionFacts::default()
        };
        assert_eq!(next(&facts, 600), (None, None, None));
    }

    #[test]
    fn part_of_a_second_counts_as_a_whole_one() {
        assert_eq!(
            [0, 1, 999, 1_000, 1_001].map(|ms| seconds(Duration::from_millis(ms))),
            [0, 1, 1, 1, 2]
        );
    }
}
