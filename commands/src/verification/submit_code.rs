//! A code is checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::account::RecoveryPasswordDropped;
use events::values::Redacted;
use events::verification::{CodeRejected, NumberVerified, VerificationEvent};
use events::{SessionId, StreamId, Timestamp};

use super::drop_recovery_password::to_drop_password;
use super::state::{SessionGone, conclude, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Submits a code. A wrong one is no refusal: the answer is the session, verified or not.
#[derive(Clone, Debug)]
pub struct SubmitCode {
    /// The session.
    pub session: SessionId,
    /// The code as the client sent it.
    pub code: Redacted<Box<str>>,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Why a code was not even looked at. All but the first carry the session as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitCodeRefused {
    /// There is no such session, or no longer.
    #[error(transparent)]
    SessionGone(#[from] SessionGone),
    /// The number is verified; there is nothing to prove.
    #[error("the number is verified already")]
    AlreadyVerified(Box<SessionView>),
    /// No code is outstanding, or it was tried too often: a new one is needed.
    #[error("a new code is needed")]
    NoCode(Box<SessionView>),
    /// Not yet.
    #[error("too soon after the last attempt")]
    TooSoon {
        /// The session.
        view: Box<SessionView>,
        /// When to try again.
        retry_after: Duration,
    },
}

impl Refusal for SubmitCodeRefused {}

impl SubmitCode {
    /// The rule: whether the code is right, if it may be looked at.
    pub fn decide(&self, session: &Session, at: Timestamp) -> Result<bool, SubmitCodeRefused> {
        let view = || Box::new(session.view(&self.policy, at));
        if session.facts.verified {
            return Err(SubmitCodeRefused::AlreadyVerified(view()));
        }
        match (session.facts.next_check(&self.policy, at), &session.code) {
            (None, _) | (_, None) => Err(SubmitCodeRefused::NoCode(view())),
            (Some(Duration::ZERO), Some(code)) => {
                Ok(crypto::token_hash::verify(&self.code.0, code))
            }
            (Some(retry_after), _) => Err(SubmitCodeRefused::TooSoon {
                view: view(),
                retry_after,
            }),
        }
    }
}

#[async_trait]
impl Command for SubmitCode {
    type Done = SessionView;
    type Refused = SubmitCodeRefused;
    const NAME: &'static str = "SubmitCode";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    /// Writes the account before the session: cut short, the recovery password is gone and the code can be
    /// submitted again. The other way round, a verified number would keep it.
    async fn run(&self, work: &mut Work<'_>) -> Result<SessionView, Stop<SubmitCodeRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let right = self.decide(&session, work.at())?;
        if right
            && let Some(pni) = session.pni()
            && let Some(account) = to_drop_password(work, pni).await?
        {
            work.record(&account, [RecoveryPasswordDropped {}]);
        }
        let event: VerificationEvent = if right {
            NumberVerified {}.into()
        } else {
            CodeRejected {}.into()
        };
        Ok(conclude(work, &session, Some(event), &self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{number, pni, policy, salted, secret, session};
    use crate::testing::given;
    use events::verification::{CodeSent, SessionStarted, Transport};

    fn history(rest: &[(u64, VerificationEvent)]) -> Vec<(u64, VerificationEvent)> {
        let started = SessionStarted {
            number: number(1).into(),
            pni: pni(1),
            required: vec![],
        };
        [(0, started.into())]
            .into_iter()
            .chain(rest.iter().cloned())
            .collect()
    }

    fn sent(code: &str) -> VerificationEvent {
        CodeSent {
            transport: Transport::Sms,
            code: Some(salted(code)),
        }
        .into()
    }

    fn submit(code: &str) -> impl FnOnce(&Session, Timestamp) -> Result<bool, SubmitCodeRefused> {
        let submit = SubmitCode {
            session: session(1),
            code: secret(code),
            policy: policy(),
        };
        move |session, at| submit.decide(session, at)
    }

    #[test]
    fn right_and_wrong_are_both_answers() {
        given(history(&[(1, sent("123456"))]))
            .when(submit("123456"))
            .accepts(true);
        given(history(&[(1, sent("123456"))]))
            .when(submit("123457"))
            .accepts(false);
    }

    #[test]
    fn a_new_code_voids_the_earlier_one_and_resets_the_count() {
        let wrong = |at| (at, CodeRejected {}.into());
        let tried = [(1, sent("111111")), wrong(2), wrong(3), wrong(4)];
        given(history(&tried)).at(5).when(submit("111111")).refuses_like(|refused| {
            matches!(refused, SubmitCodeRefused::TooSoon { retry_after, .. } if retry_after.as_secs() == 59)
        });
        let renewed = [tried.as_slice(), &[(70, sent("222222"))]].concat();
        given(history(&renewed))
            .when(submit("222222"))
            .accepts(true);
        given(history(&renewed))
            .when(submit("111111"))
            .accepts(false);
    }

    #[test]
    fn after_five_wrong_codes_a_new_one_is_needed() {
        let wrong = [2, 3, 4, 64, 184].map(|at| (at, CodeRejected {}.into()));
        let tried = [&[(1, sent("123456"))], wrong.as_slice()].concat();
        given(history(&tried)).at(400).when(submit("123456")).refuses_like(|refused| {
            matches!(refused, SubmitCodeRefused::NoCode(view) if view.next_verification_attempt.is_none())
        });
    }

    #[test]
    fn without_a_code_there_is_nothing_to_check() {
        given(history(&[]))
            .when(submit("123456"))
            .refuses_like(|refused| matches!(refused, SubmitCodeRefused::NoCode(_)));
    }

    #[test]
    fn a_verified_session_takes_no_further_code() {
        let verified = [(1, sent("123456")), (2, NumberVerified {}.into())];
        given(history(&verified))
            .when(submit("123456"))
            .refuses_like(|refused| matches!(refused, SubmitCodeRefused::AlreadyVerified(_)));
    }
}
