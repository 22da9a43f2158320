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
