//! Push challenges: whoever sends one back has the device that it was pushed to.

use commands::ports::Notification;
use events::account::PushToken;
use events::values::Redacted;
use tracing::debug;

use crate::http::problem::chain;
use crate::state::Api;

/// A fresh challenge: 16 random bytes in lower-case hex.
pub(super) fn mint(api: &Api) -> Redacted<Box<str>> {
    let bytes: [u8; 16] = api.entropy.bytes();
    Redacted(hex::encode(bytes).into())
}

/// Pushes a challenge. Nobody waits for it: a client whose device does not get it solves a captcha.
pub(super) fn push(api: &Api, to: PushToken, challenge: Redacted<Box<str>>) {
    let transport = api.push.clone();
    api.shutdown.tracker.spawn(async move {
        let notification = Notification::VerificationChallenge(challenge);
        if let Err(failed) = transport.push(&to, &notification).await {
            debug!(cause = %chain(&failed), "a challenge was not pushed");
        }
    });
}
