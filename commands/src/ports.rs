//! What the doors need from outside around these rules. The server implements them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use events::account::PushToken;
use events::values::Redacted;
use events::verification::Transport;
use events::{Aci, E164};

use crate::command::{Refusal, Stop, Unavailable};

/// Carries verification codes to phones.
#[async_trait]
pub trait VerificationTransport: Send + Sync + 'static {
    /// Sends `code` to `number`. `language` is what the client asked for in `Accept-Language`, if it did.
    ///
    /// Called after [`RequestCode`](crate::verification::request_code::RequestCode) has recorded the code; a refusal is
    /// recorded in turn by [`ReportUndelivered`](crate::verification::report_undelivered::ReportUndelivered).
    async fn deliver(
        &self,
        number: &E164,
        code: &str,
        transport: Transport,
        language: Option<&str>,
    ) -> Result<(), DeliveryFailed>;
}

/// Why a code did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFailed {
    /// This number cannot be reached on this way (418). The other way may do.
    #[error("the number cannot be reached on this transport")]
    TransportNotAllowed,
    /// The provider refuses, or cannot be used at the moment (440).
    #[error("the provider did not take the code: {reason:?}")]
    Provider {
        /// What it said.
        reason: ProviderRefusal,
        /// Whether trying again is pointless.
        permanent: bool,
    },
}

/// A provider's reasons, as clients know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderRefusal {
    /// It does not answer, or is out of order: `providerUnavailable`.
    Unavailable,
    /// It does not serve this number: `providerRejected`.
    Rejected,
    /// It cannot make sense of the request: `illegalArgument`.
    IllegalArgument,
}

impl ProviderRefusal {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "providerUnavailable",
            Self::Rejected => "providerRejected",
            Self::IllegalArgument => "illegalArgument",
        }
    }
}

/// Makes verification codes.
pub trait CodeMint: Send + Sync + 'static {
    /// A code for a number: six decimal digits, unless the installation says otherwise.
    fn mint(&self, number: &E164) -> Redacted<Box<str>>;
}

/// Reaches devices that are not connected: through Apple, through Google, or through a service of the operator's.
///
/// Nobody but reactors and doors after their success calls it, so that nothing that is replayed can ring a phone.
#[async_trait]
pub trait PushTransport: Send + Sync + 'static {
    /// Hands one notification to the service that knows the token.
    async fn push(&self, to: &PushToken, notification: &Notification) -> Result<(), PushFailed>;
}

/// What a push tells a device. None of them says from whom or about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Messages wait. What is urgent may wake the device; the rest waits for a good moment of its own.
    Messages {
        /// Whether the device should be woken at once.
        urgent: bool,
    },
    /// Proves, by coming back, that the token belongs to whoever verifies a number: lower-case hex.
    VerificationChallenge(Redacted<Box<str>>),
    /// Proves, by coming back, that a sender who met a limit is a device of the account: lower-case hex.
    RateLimitChallenge(Redacted<Box<str>>),
    /// Somebody who has the account's number did not open its registration lock.
    AttemptLogin,
}

/// What a push says of an [attempt](Notification::AttemptLogin).
pub const FAILED_LOCK: &str = "failedRegistrationLock";

/// Why a push did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushFailed {
    /// The service does not know the token, or no longer: it is of no use to anybody.
    #[error("the push service does not know the token")]
    InvalidToken,
    /// The service cannot take it at the moment. It may have said when to try again.
    #[error("the push service cannot take it at the moment")]
    Later(Option<Duration>),
    /// The service refuses, and would refuse again: the operator's credentials or our request are wrong, or the
    /// installation has no such service.
    #[error("the push service refuses: {0}")]
    Refused(&'static str),
}

/// For installations that push nothing: every push is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushNothing;

#[async_trait]
impl PushTransport for PushNothing {
    async fn push(&self, _: &PushToken, _: &Notification) -> Result<(), PushFailed> {
        Err(PushFailed::Refused("no push service is configured"))
    }
}

/// Counts how often somebody tries to get at a number or an account. Rules say when: only what would be compared counts.
#[async_trait]
pub trait Trials: fmt::Debug + Send + Sync + 'static {
    /// Counts a trial, unless there were too many. A command that runs again counts each of its trials once.
    async fn count(&self, trial: &Trial) -> Result<(), NotCounted>;
}

/// What somebody tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// To show that a number is theirs.
    Number(E164),
    /// To open the registration lock of the account that has the number.
    RegistrationLock(E164),
    /// To know a one-time password of the account.
    OneTimePassword(Aci),
}

/// Why a trial may not go on.
#[derive(Debug)]
pub enum NotCounted {
    /// There were too many.
    TooMany(TooManyTrials),
    /// They cannot be counted, and what cannot be counted is not let through.
    Unavailable(Unavailable),
}

/// There were too many trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many trials")]
pub struct TooManyTrials {
    /// When to try again.
    pub retry_after: Duration,
}

impl dyn Trials {
    /// Counts a trial of a command that is refused if there were too many.
    pub(crate) async fn allow<R>(&self, trial: Trial) -> Result<(), Stop<R>>
    where
        R: Refusal + From<TooManyTrials>,
    {
        match self.count(&trial).await {
            Ok(()) => Ok(()),
            Err(NotCounted::TooMany(too_many)) => Err(Stop::Refused(too_many.into())),
            Err(NotCounted::Unavailable(cause)) => Err(Stop::Unavailable(cause)),
        }
    }
}

/// For installations that limit nobody: every trial may go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndlessTrials;

#[async_trait]
impl Trials for EndlessTrials {
    async fn count(&self, _: &Trial) -> Result<(), NotCounted> {
        Ok(())
    }
}
