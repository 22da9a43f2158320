//! Somebody wants to prove that a number is theirs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::number::VerificationBegun;
use events::values::Redacted;
use events::verification::{Proof, PushChallengeIssued, SessionStarted, VerificationEvent};
use events::{E164, Pni, SessionId, StreamId, Timestamp};

use super::state::conclude;
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;
use crate::number::Number;

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
    /// The challenge that the door will push, if one of these is that it comes back.
    pub push_challenge: Option<Redacted<Box<str>>>,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Why no session is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartSessionRefused {
    /// The number has asked for too many sessions.
    #[error("the number has asked for too many sessions")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
}

impl Refusal for StartSessionRefused {}

impl StartSession {
    /// What happens in a session that was not started before.
    pub fn decide(&self, session: &Session) -> Vec<VerificationEvent> {
        if session.subject.is_some() {
            return Vec::new();
        }
        let started = SessionStarted {
            number: self.number.clone().into(),
            pni: self.pni,
            required: self.required.clone(),
        };
        let issued = self.push_challenge.as_ref().map(|challenge| {
            let challenge = challenge.0.clone().into();
            let pni = self.pni;
            PushChallengeIssued { pni, challenge }.into()
        });
        [started.into()].into_iter().chain(issued).collect()
    }

    /// Whether the number may ask for another session now.
    pub fn check_budget(&self, number: &Number, at: Timestamp) -> Result<(), StartSessionRefused> {
        let budget = self.policy.sessions.as_ref();
        let wait = budget.map_or(Duration::ZERO, |budget| budget.wait(&number.sessions, at));
        if wait.is_zero() {
            Ok(())
        } else {
            Err(StartSessionRefused::TooMany { retry_after: wait })
        }
    }
}

#[async_trait]
impl Command for StartSession {
    type Done = SessionView;
    type Refused = StartSessionRefused;
    const NAME: &'static str = "StartSession";

    fn turn(&self) -> Option<StreamId> {
        let counted = self.policy.sessions.is_some();
        counted.then(|| StreamId::number(self.pni))
    }

    /// Writes the number before the session: cut short, a session was counted that nobody got.
    async fn run(&self, work: &mut Work<'_>) -> Result<SessionView, Stop<StartSessionRefused>> {
        let session = work.load::<Session>(self.session).await?;
        let events = self.decide(&session);
        if !events.is_empty() && self.policy.sessions.is_some() {
            let number = work.load::<Number>(self.pni).await?;
            self.check_budget(&number, work.at())?;
            let session = self.session;
            work.record(&number, [VerificationBegun { session }]);
        }
        Ok(conclude(work, &session, events, &self.policy))
    }
}
