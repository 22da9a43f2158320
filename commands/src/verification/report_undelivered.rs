//! A code did not go out.

use std::sync::Arc;

use async_trait::async_trait;
use events::values::hashes::SaltedHash;
use events::verification::{CodeUndelivered, Transport, VerificationEvent};
use events::{SessionId, StreamId};

use super::state::{SessionGone, conclude, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Notes that the provider refused the code that was sent last. The code is void; the attempt still counts, so that a
/// broken provider is not asked faster than a working one. If the way is closed for good, calls are open at once.
#[derive(Clone, Debug)]
pub struct ReportUndelivered {
    /// The session.
    pub session: SessionId,
    /// On which way the code should have gone.
    pub transport: Transport,
    /// The hash of that code, as [`RequestCode`](super::request_code::RequestCode) had it.
    pub code: SaltedHash,
    /// Whether this number cannot be reached on this way at all.
    pub permanent: bool,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Why there is nothing to note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportUndeliveredRefused {
    /// There is no such session, or no longer.
    #[error(transparent)]
    SessionGone(#[from] SessionGone),
}

impl Refusal for ReportUndeliveredRefused {}

impl ReportUndelivered {
    /// The rule. If another code is outstanding by now, or none, there is nothing left to void.
    pub fn decide(&self, session: &Session) -> Option<VerificationEvent> {
        let (transport, permanent) = (self.transport, self.permanent);
        let outstanding = session.code.as_ref() == Some(&self.code);
        outstanding.then(|| {
            CodeUndelivered {
                transport,
                permanent,
            }
            .into()
        })
    }
}

#[async_trait]
impl Command for ReportUndelivered {
    type Done = SessionView;
    type Refused = ReportUndeliveredRefused;
    const NAME: &'static str = "ReportUndelivered";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(
        &self,
        work: &mut Work<'_>,
    ) -> Result<SessionView, Stop<ReportUndeliveredRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let event = self.decide(&session);
        Ok(conclude(work, &session, event, &self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{number, pni, policy, salted, session};
    use crate::testing::given;
    use events::verification::{CodeSent, SessionStarted};

    #[test]
    fn only_the_outstanding_code_can_be_voided_and_only_once() {
        let started = SessionStarted {
            number: number(1).into(),
            pni: pni(1),
            required: vec![],
        };
        let sent = |code| CodeSent {
            transport: Transport::Sms,
            code: Some(salted(code)),
        };
        let report = |code| ReportUndelivered {
            session: session(1),
            transport: Transport::Sms,
            code: salted(code),
            permanent: false,
            policy: policy(),
        };
        let undelivered = CodeUndelivered {
            transport: Transport::Sms,
            permanent: false,
        };
        let history = [
            (0, started.into()),
            (1, sent("old").into()),
            (70, sent("new").into()),
        ];
        let outstanding = given(history.clone());
        outstanding
            .when(|session, _| report("old").decide(session))
            .then(None);
        outstanding
            .when(|session, _| report("new").decide(session))
            .then(Some(undelivered.clone().into()));
        let voided = given(history.into_iter().chain([(71, undelivered.into())]));
        voided
            .when(|session, _| report("new").decide(session))
            .then(None);
        voided
            .when(|session: &Session, _| session.code.is_some())
            .then(false);
    }
}
