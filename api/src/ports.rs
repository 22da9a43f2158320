//! What the doors need from outside, beside the ports of `commands`.

pub mod challenges;
pub mod objects;
pub mod outcomes;

use async_trait::async_trait;
use bytes::Bytes;
use events::Timestamp;
use events::ids::DeviceAddress;
use tokio::sync::oneshot;

pub use challenges::{ChallengesUnavailable, PushedChallenges};
pub use objects::{ObjectKey, ObjectUploads, ObjectsUnavailable, Upload};
pub use outcomes::Outcomes;

/// Judges solved captchas.
#[async_trait]
pub trait CaptchaAssessor: Send + Sync + 'static {
    /// Whether somebody who is probably a person solved the captcha behind `token`.
    async fn assess(
        &self,
        token: &CaptchaToken,
        at: Timestamp,
    ) -> Result<bool, AssessorUnavailable>;
}

/// The assessor could not be asked. Clients get 503.
#[derive(Debug, thiserror::Error)]
#[error("the captcha assessor is unavailable")]
pub struct AssessorUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A captcha as clients send it: `<scheme>.<site key>.<action>.<token>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptchaToken {
    /// Which kind of captcha.
    pub scheme: Box<str>,
    /// For whom it was solved.
    pub site_key: Box<str>,
    /// What it was solved for: `registration` or `challenge`.
    pub action: Box<str>,
    /// The proof. It may hold further dots.
    pub token: Box<str>,
}

/// Not in the form of a captcha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a captcha has the form <scheme>.<site key>.<action>.<token>")]
pub struct MalformedCaptcha;

impl std::str::FromStr for CaptchaToken {
    type Err = MalformedCaptcha;

    fn from_str(text: &str) -> Result<Self, MalformedCaptcha> {
        let mut parts = text
            .splitn(4, '.')
            .filter(|part| !part.is_empty())
            .map(Box::from);
        let mut part = || parts.next().ok_or(MalformedCaptcha);
        Ok(Self {
            scheme: part()?,
            site_key: part()?,
            action: part()?,
            token: part()?,
        })
    }
}

/// Believes every well-formed captcha. For development, and for installations that ask for none.
#[derive(Clone, Copy, Debug, Default)]
pub struct BelieveCaptchas;

#[async_trait]
impl CaptchaAssessor for BelieveCaptchas {
    async fn assess(&self, _: &CaptchaToken, _: Timestamp) -> Result<bool, AssessorUnavailable> {
        Ok(true)
    }
}

/// The other nodes of the installation, as far as connected devices concern them. Calls return at once; what they ask for
/// happens soon, and in the order of the calls.
pub trait Neighbours: Send + Sync + 'static {
    /// Messages for the device go to this socket of this node from now on; wherever it had another one, that one is
    /// displaced. The receiver ends, one way or the other, when none on another node has anything left to store.
    fn claim(&self, address: DeviceAddress, socket: u64) -> oneshot::Receiver<()>;

    /// What was acknowledged on the socket that this device, which connected to another node, had here is stored.
    fn settled(&self, address: DeviceAddress);

    /// The socket is gone.
    fn release(&self, address: DeviceAddress, socket: u64);

    /// Takes an ephemeral envelope to the node on which the device is connected, if it is on any.
    fn forward(&self, address: DeviceAddress, envelope: Bytes);
}

/// For installations of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNeighbours;

impl Neighbours for NoNeighbours {
    fn claim(&self, _: DeviceAddress, _: u64) -> oneshot::Receiver<()> {
        oneshot::channel().1
    }

    fn settled(&self, _: DeviceAddress) {}

    fn release(&self, _: DeviceAddress, _: u64) {}

    fn forward(&self, _: DeviceAddress, _: Bytes) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_captcha_is_split_at_its_first_three_dots() {
        let token: CaptchaToken = "signal-hcaptcha.site.registration.a.b.c".parse().unwrap();
        assert_eq!((&*token.action, &*token.token), ("registration", "a.b.c"));
        for text in [
            "",
            "noscheme",
            "a.b.registration",
            "a..registration.t",
            "a.b.registration.",
        ] {
            assert_eq!(
                text.parse::<CaptchaToken>(),
                Err(MalformedCaptcha),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_captcha_or_refused(text: String) {
            let _ = text.parse::<CaptchaToken>();
        }
    }
}
