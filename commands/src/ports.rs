//! What the doors need from outside around these rules. The server implements them.

use async_trait::async_trait;
use events::E164;
use events::values::Redacted;
use events::verification::Transport;

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
