//! What rules need to know of a session.

use events::values::hashes::SaltedHash;
use events::verification::{CodeSent, Proof, SessionStarted, VerificationEvent};
use events::{E164, Pni, SessionId, StreamId, Timestamp};

use super::policy::VerificationPolicy;
use super::view::{Checks, SessionFacts, SessionView};
use crate::aggregate::Aggregate;
use crate::command::{Refusal, Stop};
use crate::executor::work::{Loaded, Work};

/// A verification session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Whose number it is about; `None` before it was started.
    pub subject: Option<SessionStarted>,
    /// What its client may know.
    pub facts: SessionFacts,
    /// The proofs that were asked for, given or not.
    pub asked: Vec<Proof>,
    /// The challenge that is pushed to the client's device.
    pub push_challenge: Option<Box<str>>,
    /// The outstanding code.
    pub code: Option<SaltedHash>,
}

impl Session {
    /// Whether the session was started and is not over.
    pub fn is_alive(&self, policy: &VerificationPolicy, at: Timestamp) -> bool {
        self.subject.is_some() && !self.facts.has_expired(policy, at)
    }

    /// The pseudonym of the number.
    pub fn pni(&self) -> Option<Pni> {
        self.subject.as_ref().map(|started| started.pni)
    }

    /// The number, while it can be read.
    pub fn number(&self) -> Option<&E164> {
        self.subject
            .as_ref()
            .and_then(|started| started.number.known())
    }

    /// The session as its client sees it.
    pub fn view(&self, policy: &VerificationPolicy, at: Timestamp) -> SessionView {
        SessionView::of(&self.facts, policy, at)
    }

    fn send(&mut self, sent: &CodeSent, at: Timestamp) {
        let sends = self.facts.sends_mut(sent.transport);
        sends.count += 1;
        sends.first = sends.first.or(Some(at));
        sends.last = Some(at);
        self.facts.checks = Some(Checks::default());
        self.code.clone_from(&sent.code);
    }
}

impl Aggregate for Session {
    type Id = SessionId;
    type Event = VerificationEvent;

    fn stream(session: SessionId) -> StreamId {
        StreamId::verification(session)
    }

    fn evolve(&mut self, event: &VerificationEvent, at: Timestamp) {
        self.facts.last_action = at;
        match event {
            VerificationEvent::SessionStarted(started) => {
                self.facts.required.clone_from(&started.required);
                self.asked.clone_from(&started.required);
                self.subject = Some(started.clone());
            }
            VerificationEvent::ProofRequired(required) => {
                self.facts.required.insert(0, required.proof);
                self.asked.push(required.proof);
            }
            VerificationEvent::PushChallengeIssued(issued) => {
                self.push_challenge = issued.challenge.known().cloned();
            }
            VerificationEvent::ProofSubmitted(_) => self.facts.required.clear(),
            VerificationEvent::CodeSent(sent) => self.send(sent, at),
            VerificationEvent::CodeUndelivered(undelivered) => {
                self.code = None;
                self.facts.checks = None;
                self.facts.sends_mut(undelivered.transport).closed |= undelivered.permanent;
            }
            VerificationEvent::CodeRejected(_) => {
                let checks = self.facts.checks.get_or_insert_default();
                checks.count += 1;
                checks.last = Some(at);
            }
            VerificationEvent::NumberVerified(_) => {
                self.code = None;
                self.facts.checks = None;
                self.facts.verified = true;
            }
        }
    }
}

/// There is no such session, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such verification session")]
pub struct SessionGone;

/// Loads a session that is alive.
pub(super) async fn load_alive<R: Refusal + From<SessionGone>>(
    work: &Work<'_>,
    id: SessionId,
    policy: &VerificationPolicy,
) -> Result<Loaded<Session>, Stop<R>> {
    let session = work.load::<Session>(id).await?;
    if session.is_alive(policy, work.at()) {
        Ok(session)
    } else {
        Err(R::from(SessionGone).into())
    }
}

/// Records what happened in the session, if anything; tells how the session looks after that.
pub(super) fn conclude(
    work: &mut Work<'_>,
    session: &Loaded<Session>,
    events: impl IntoIterator<Item = VerificationEvent>,
    policy: &VerificationPolicy,
) -> SessionView {
    let events: Vec<_> = events.into_iter().collect();
    let mut after = Session::clone(session);
    for event in &events {
        after.evolve(event, work.at());
    }
    work.record(session, events);
    after.view(policy, work.at())
}
