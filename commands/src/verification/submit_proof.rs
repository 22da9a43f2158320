//! Somebody shows that they are more than a program, or is asked to show it in one more way.

use std::sync::Arc;

use async_trait::async_trait;
use events::verification::{Proof, ProofRequired, ProofSubmitted, VerificationEvent};
use events::{SessionId, StreamId};

use super::state::{SessionGone, load_alive};
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
    pub fn decide(&self, session: &Session) -> Result<Vec<VerificationEvent>, NotAccepted> {
        let missing = !session.facts.required.is_empty();
        if missing && !(self.accepted && session.asked.contains(&self.proof)) {
            return Err(NotAccepted);
        }
        let submitted = missing.then_some(ProofSubmitted { proof: self.proof });
        Ok(submitted.into_iter().map(Into::into).collect())
    }
}

/// The proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAccepted;

impl RequireProof {
    /// The rule.
    pub fn decide(&self, session: &Session) -> Vec<VerificationEvent> {
        let new = !session.asked.contains(&self.proof) && !session.facts.required.is_empty();
        new.then(|| ProofRequired { proof: self.proof }.into())
            .into_iter()
            .collect()
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
        let session = load_alive(work, self.session, &self.policy)
            .await?
            .map_err(SubmitProofRefused::from)?;
        let view = || Box::new(session.view(&self.policy, work.at()));
        let events = self
            .decide(&session)
            .map_err(|NotAccepted| SubmitProofRefused::NotAccepted(view()))?;
        let view = session.view_after(&events, &self.policy, work.at());
        work.record(&session, events);
        Ok(view)
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
        let session = load_alive(work, self.session, &self.policy)
            .await?
            .map_err(SubmitProofRefused::from)?;
        let events = self.decide(&session);
        let view = session.view_after(&events, &self.policy, work.at());
        work.record(&session, events);
        Ok(view)
    }
}
