//! Somebody shows that they are more than a program, or is asked to show it in one more way.

use std::sync::Arc;

use async_trait::async_trait;
use events::verification::{Proof, ProofRequired, ProofSubmitted, VerificationEvent};
use events::{SessionId, StreamId};

use super::state::{SessionGone, conclude, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Hands in a proof. Whether it is good was found out at the door: captchas are judged elsewhere, and push challenges
/// are compared with what was pushed. One good proof answers all that were asked for.
#[derive(Clone, Debug)]
pub struct SubmitProof {
    /// The session.
    pub session: SessionId,
    /// Which proof.
    pub proof: Proof,
    /// The verdict.
    pub accepted: bool,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Asks for one more way of proving it, because the client can be reached by push now. Asking again does nothing.
#[derive(Clone, Debug)]
pub struct RequireProof {
    /// The session.
    pub session: SessionId,
    /// Which proof.
    pub proof: Proof,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Why a proof does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitProofRefused {
    /// There is no such session, or no longer.
    #[error(transparent)]
    SessionGone(#[from] SessionGone),
    /// The proof is wrong, or was never asked for.
    #[error("the proof was not accepted")]
    NotAccepted(Box<SessionView>),
}

impl Refusal for SubmitProofRefused {}

impl SubmitProof {
    /// Whether the proof is good enough, and what follows.
    pub fn decide(&self, session: &Session) -> Result<Option<VerificationEvent>, NotAccepted> {
        let missing = !session.facts.required.is_empty();
        if missing && !(self.accepted && session.asked.contains(&self.proof)) {
            return Err(NotAccepted);
        }
        Ok(missing.then(|| ProofSubmitted { proof: self.proof }.into()))
    }
}

/// The proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAccepted;

impl RequireProof {
    /// The rule.
    pub fn decide(&self, session: &Session) -> Option<VerificationEvent> {
        let new = !session.asked.contains(&self.proof) && !session.facts.required.is_empty();
        new.then(|| ProofRequired { proof: self.proof }.into())
    }
}

#[async_trait]
impl Command for SubmitProof {
    type Done = SessionView;
    type Refused = SubmitProofRefused;
    const NAME: &'static str = "SubmitProof";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<SessionView, Stop<SubmitProofRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let view = || Box::new(session.view(&self.policy, work.at()));
        let event = self.decide(&session);
        let event = event.map_err(|NotAccepted| SubmitProofRefused::NotAccepted(view()))?;
        Ok(conclude(work, &session, event, &self.policy))
    }
}

#[async_trait]
impl Command for RequireProof {
    type Done = SessionView;
    type Refused = SubmitProofRefused;
    const NAME: &'static str = "RequireProof";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<SessionView, Stop<SubmitProofRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let event = self.decide(&session);
        Ok(conclude(work, &session, event, &self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{number, pni, policy, session};
    use crate::testing::given;
    use events::verification::SessionStarted;

    fn started(required: &[Proof]) -> (u64, VerificationEvent) {
        let required = required.to_vec();
        (
            0,
            SessionStarted {
                number: number(1).into(),
                pni: pni(1),
                required,
            }
            .into(),
        )
    }

    fn submit(proof: Proof, accepted: bool) -> SubmitProof {
        SubmitProof {
            session: session(1),
            proof,
            accepted,
            policy: policy(),
        }
    }

    fn require(proof: Proof) -> RequireProof {
        RequireProof {
            session: session(1),
            proof,
            policy: policy(),
        }
    }

    #[test]
    fn one_good_proof_answers_all_that_were_asked_for() {
        let asked = [started(&[Proof::PushChallenge, Proof::Captcha])];
        for proof in [Proof::PushChallenge, Proof::Captcha] {
            given(asked.clone())
                .when(|session, _| submit(proof, true).decide(session))
                .accepts(Some(ProofSubmitted { proof }.into()));
            let after = asked
                .clone()
                .into_iter()
                .chain([(1, ProofSubmitted { proof }.into())]);
            given(after)
                .when(|session: &Session, _| session.facts.required.clone())
                .then(vec![]);
        }
    }

    #[test]
    fn a_bad_proof_and_one_that_nobody_asked_for_do_not_count() {
        for (proof, accepted) in [(Proof::Captcha, false), (Proof::PushChallenge, true)] {
            given([started(&[Proof::Captcha])])
                .when(|session, _| submit(proof, accepted).decide(session))
                .refuses(NotAccepted);
        }
    }

    #[test]
    fn where_nothing_is_missing_any_proof_is_ignored() {
        given([started(&[])])
            .when(|session, _| submit(Proof::Captcha, false).decide(session))
            .accepts(None);
    }

    #[test]
    fn a_push_challenge_comes_before_the_captcha_and_once() {
        let history = [started(&[Proof::Captcha])];
        let required = ProofRequired {
            proof: Proof::PushChallenge,
        };
        given(history.clone())
            .when(|session, _| require(Proof::PushChallenge).decide(session))
            .then(Some(required.clone().into()));
        let asked = given(history.into_iter().chain([(1, required.into())]));
        asked
            .when(|session, _| require(Proof::PushChallenge).decide(session))
            .then(None);
        asked
            .when(|session: &Session, _| session.facts.required.clone())
            .then(vec![Proof::PushChallenge, Proof::Captcha]);
    }
}
