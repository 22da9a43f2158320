//! Somebody wants to prove that a number is theirs.

use std::sync::Arc;

use async_trait::async_trait;
use events::verification::{Proof, SessionStarted, VerificationEvent};
use events::{E164, Pni, SessionId};

use super::state::conclude;
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Starts a session under a fresh id. Starting it again does nothing.
#[derive(Clone, Debug)]
pub struct StartSession {
    /// The session, minted at the door.
    pub session: SessionId,
    /// The number.
    pub number: E164,
    /// Its pseudonym.
    pub pni: Pni,
    /// What has to be shown before a code is sent: any one of these.
    pub required: Vec<Proof>,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

impl StartSession {
    /// The rule.
    pub fn decide(&self, session: &Session) -> Option<VerificationEvent> {
        let started = || SessionStarted {
            number: self.number.clone().into(),
            pni: self.pni,
            required: self.required.clone(),
        };
        session.subject.is_none().then(|| started().into())
    }
}

#[async_trait]
impl Command for StartSession {
    type Done = SessionView;
    type Refused = NeverRefused;
    const NAME: &'static str = "StartSession";

    async fn run(&self, work: &mut Work<'_>) -> Result<SessionView, Stop<NeverRefused>> {
        let session = work.load::<Session>(self.session).await?;
        let event = self.decide(&session);
        Ok(conclude(work, &session, event, &self.policy))
    }
}
