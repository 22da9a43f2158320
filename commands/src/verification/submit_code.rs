//! A code is checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::account::RecoveryPasswordDropped;
use events::values::Redacted;
use events::verification::{CodeRejected, NumberVerified, VerificationEvent};
use events::{Pni, SessionId, StreamId, Timestamp};

use super::state::{SessionGone, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::account::Account;
use crate::command::{Command, Refusal, Stop, Unavailable};
use crate::executor::work::{Loaded, Work};
use crate::number::resolve;

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

/// The account whose recovery password is void now that its number was verified by a code.
async fn to_drop_password(
    work: &Work<'_>,
    pni: Option<Pni>,
) -> Result<Option<Loaded<Account>>, Unavailable> {
    let Some(pni) = pni else { return Ok(None) };
    let account = resolve(work, pni.into()).await?.map(|(_, account)| account);
    let protected = |account: &Loaded<Account>| {
        account
            .live
            .as_ref()
            .is_some_and(|live| live.protection.recovery_password.is_some())
    };
    Ok(account.filter(protected))
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
        let session = load_alive(work, self.session, &self.policy)
            .await?
            .map_err(SubmitCodeRefused::from)?;
        let event: VerificationEvent = if self.decide(&session, work.at())? {
            if let Some(account) = to_drop_password(work, session.pni()).await? {
                work.record(&account, [RecoveryPasswordDropped {}]);
            }
            NumberVerified {}.into()
        } else {
            CodeRejected {}.into()
        };
        let events = [event];
        let view = session.view_after(&events, &self.policy, work.at());
        work.record(&session, events);
        Ok(view)
    }
}
