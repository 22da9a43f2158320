//! Somebody shows that they are more than a program, or is asked to show it in one more way.

use std::sync::Arc;

use async_trait::async_trait;
use events::values::Redacted;
use events::verification::{
    Proof, ProofRequired, ProofSubmitted, PushChallengeIssued, VerificationEvent,
};
use events::{SessionId, StreamId};

use super::state::{SessionGone, conclude, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Hands in a proof. One good proof answers all that were asked for.
#[derive(Clone, Debug)]
pub struct SubmitProof {
    /// The session.
    pub session: SessionId,
    /// The proof.
    pub evidence: Evidence,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// A proof as it was handed in.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// What was pushed to the client's device, if it came back.
    PushChallenge(Redacted<Box<str>>),
    /// A captcha, which was judged before.
    Captcha {
        /// The verdict.
        accepted: bool,
    },
}

/// Asks for one more way of proving it, because the client can be reached by push now. The challenge that was made first
/// stays the right one.
#[derive(Clone, Debug)]
pub struct RequirePushChallenge {
    /// The session.
    pub session: SessionId,
    /// The challenge, minted at the door, if there is none yet.
    pub fresh_challenge: Redacted<Box<str>>,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// The session, and what the door has to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequired {
    /// The session after that.
    pub view: SessionView,
    /// The challenge; `None` if no proof is missing.
    pub challenge: Option<Redacted<Box<str>>>,
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
        let proof = self.evidence.kind();
        if missing && !(session.asked.contains(&proof) && self.evidence.is_good_for(session)) {
            return Err(NotAccepted);
        }
        Ok(missing.then(|| ProofSubmitted { proof }.into()))
    }
}

impl Evidence {
    /// What it proves.
    pub const fn kind(&self) -> Proof {
        match self {
            Self::PushChallenge(_) => Proof::PushChallenge,
            Self::Captcha { .. } => Proof::Captcha,
        }
    }

    fn is_good_for(&self, session: &Session) -> bool {
        match self {
            Self::Captcha { accepted } => *accepted,
            Self::PushChallenge(given) => {
                let pushed = session.push_challenge.as_ref();
                pushed.is_some_and(|pushed| crypto::same(pushed.as_bytes(), given.0.as_bytes()))
            }
        }
    }
}

/// The proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAccepted;

impl RequirePushChallenge {
    /// The rule: what happens, if no challenge was made before.
    pub fn decide(&self, session: &Session) -> Vec<VerificationEvent> {
        let Some(pni) = session.pni().filter(|_| session.push_challenge.is_none()) else {
            return Vec::new();
        };
        if session.facts.required.is_empty() {
            return Vec::new();
        }
        let proof = Proof::PushChallenge;
        let asked = session.asked.contains(&proof);
        let required = (!asked).then(|| ProofRequired { proof }.into());
        let issued = PushChallengeIssued {
            pni,
            challenge: self.fresh_challenge.0.clone().into(),
        };
        required.into_iter().chain([issued.into()]).collect()
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
impl Command for RequirePushChallenge {
    type Done = PushRequired;
    type Refused = SubmitProofRefused;
    const NAME: &'static str = "RequirePushChallenge";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<PushRequired, Stop<SubmitProofRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let missing = !session.facts.required.is_empty();
        let earlier = session.push_challenge.clone().map(Redacted);
        let challenge = earlier.unwrap_or_else(|| self.fresh_challenge.clone());
        let events = self.decide(&session);
        Ok(PushRequired {
            view: conclude(work, &session, events, &self.policy),
            challenge: missing.then_some(challenge),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{number, pni, policy, secret, session};
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

    fn submit(evidence: Evidence) -> SubmitProof {
        SubmitProof {
            session: session(1),
            evidence,
            policy: policy(),
        }
    }

    fn captcha(accepted: bool) -> SubmitProof {
        submit(Evidence::Captcha { accepted })
    }

    fn pushed(challenge: &str) -> SubmitProof {
        submit(Evidence::PushChallenge(secret(challenge)))
    }

    fn issued(challenge: &str) -> VerificationEvent {
        PushChallengeIssued {
            pni: pni(1),
            challenge: Box::<str>::from(challenge).into(),
        }
        .into()
    }

    fn require(challenge: &str) -> RequirePushChallenge {
        RequirePushChallenge {
            session: session(1),
            fresh_challenge: secret(challenge),
            policy: policy(),
        }
    }

    #[test]
    fn one_good_proof_answers_all_that_were_asked_for() {
        let asked = [
            started(&[Proof::PushChallenge, Proof::Captcha]),
            (0, issued("right")),
        ];
        for submit in [captcha(true), pushed("right")] {
            let submitted = ProofSubmitted {
                proof: submit.evidence.kind(),
            };
            given(asked.clone())
                .when(|session, _| submit.decide(session))
                .accepts(Some(submitted.clone().into()));
            given(asked.clone().into_iter().chain([(1, submitted.into())]))
                .when(|session: &Session, _| session.facts.required.clone())
                .then(vec![]);
        }
    }

    #[test]
    fn a_bad_proof_and_one_that_nobody_asked_for_do_not_count() {
        given([started(&[Proof::Captcha])])
            .when(|session, _| captcha(false).decide(session))
            .refuses(NotAccepted);
        given([started(&[Proof::Captcha])])
            .when(|session, _| pushed("").decide(session))
            .refuses(NotAccepted);
        let asked = [
            started(&[Proof::PushChallenge, Proof::Captcha]),
            (0, issued("right")),
        ];
        for wrong in ["wrong", "", "right "] {
            given(asked.clone())
                .when(|session, _| pushed(wrong).decide(session))
                .refuses(NotAccepted);
        }
    }

    #[test]
    fn where_nothing_is_missing_any_proof_is_ignored() {
        given([started(&[])])
            .when(|session, _| captcha(false).decide(session))
            .accepts(None);
        given([started(&[])])
            .when(|session: &Session, _| require("x").decide(session))
            .then(vec![]);
    }

    #[test]
    fn a_push_challenge_comes_before_the_captcha_and_stays() {
        let history = [started(&[Proof::Captcha])];
        let required = ProofRequired {
            proof: Proof::PushChallenge,
        };
        let first = vec![required.into(), issued("first")];
        given(history.clone())
            .when(|session, _| require("first").decide(session))
            .then(first.clone());
        let first = first.into_iter().map(|event| (1, event));
        let asked = given(history.into_iter().chain(first));
        asked
            .when(|session, _| require("second").decide(session))
            .then(vec![]);
        asked
            .when(|session: &Session, _| session.facts.required.clone())
            .then(vec![Proof::PushChallenge, Proof::Captcha]);
    }
}
