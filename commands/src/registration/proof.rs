//! How somebody shows that a number is theirs.

use events::values::Redacted;
use events::{Pni, SessionId, Timestamp};

use crate::account::Live;
use crate::command::Unavailable;
use crate::executor::work::Work;
use crate::verification::{Session, VerificationPolicy};

/// How somebody shows that a number is theirs.
#[derive(Clone, Debug)]
pub enum NumberProof {
    /// A verified session.
    Session(SessionId),
    /// The recovery password of the number's account.
    RecoveryPassword(Redacted<Box<[u8]>>),
}

/// Why a proof does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// There is no such session, or no longer.
    #[error("no such verification session")]
    SessionUnknown,
    /// The session is about another number.
    #[error("the verification session is about another number")]
    NumberMismatch,
    /// The session has not verified its number.
    #[error("the verification session is not verified")]
    NotVerified,
    /// The recovery password is wrong, or there is none.
    #[error("the recovery password is not accepted")]
    RecoveryPasswordRejected,
}

impl NumberProof {
    /// Whether it is a recovery password.
    pub const fn is_by_password(&self) -> bool {
        matches!(self, Self::RecoveryPassword(_))
    }

    /// The rule for a session.
    pub fn check_session(
        session: &Session,
        pni: Pni,
        policy: &VerificationPolicy,
        at: Timestamp,
    ) -> Result<(), Unproved> {
        if !session.is_alive(policy, at) {
            Err(Unproved::SessionUnknown)
        } else if session.pni() != Some(pni) {
            Err(Unproved::NumberMismatch)
        } else if !session.facts.verified {
            Err(Unproved::NotVerified)
        } else {
            Ok(())
        }
    }

    /// The rule for a recovery password, given the account that holds the number. A session needs no account.
    pub fn check_password(&self, holder: Option<&Live>, at: Timestamp) -> Result<(), Unproved> {
        let Self::RecoveryPassword(password) = self else {
            return Ok(());
        };
        let stored = holder.and_then(|account| account.recovery_password(at));
        let known = stored.is_some_and(|hash| crypto::token_hash::verify_bytes(&password.0, hash));
        known
            .then_some(())
            .ok_or(Unproved::RecoveryPasswordRejected)
    }

    /// Loads the session, if the proof is one, and checks it.
    pub(crate) async fn check_session_in(
        &self,
        work: &Work<'_>,
        pni: Pni,
        policy: &VerificationPolicy,
    ) -> Result<Result<(), Unproved>, Unavailable> {
        let Self::Session(id) = self else {
            return Ok(Ok(()));
        };
        let session = work.load::<Session>(*id).await?;
        Ok(Self::check_session(&session, pni, policy, work.at()))
    }
}
