//! How a device learns that messages wait: it asks by itself, or one push service wakes it.

use events::account::PushToken;
use serde::{Deserialize, Serialize};

use crate::config::Dialect;
use crate::http::violations::Violations;

/// The push tokens of a body. The library of the official desktop client has names of its own for them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelRequest {
    /// Apple's.
    pub apn_token: Option<ApnToken>,
    /// Google's.
    pub gcm_token: Option<GcmToken>,
    /// Either, in the library's form.
    pub push_token: Option<EitherToken>,
}

/// Apple's token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApnToken {
    /// Not empty.
    pub apn_registration_id: Box<str>,
}

/// Google's token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcmToken {
    /// Not empty.
    pub gcm_registration_id: Box<str>,
}

/// One of the two.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct EitherToken {
    /// Apple's.
    pub apn_registration_id: Option<Box<str>>,
    /// Google's.
    pub gcm_registration_id: Option<Box<str>>,
}

impl ChannelRequest {
    /// The push token, if there is one. A device that fetches messages has none; one that does not needs exactly one,
    /// which only the deployed dialect insists on.
    pub(crate) fn parse(
        self,
        violations: &mut Violations,
        fetches_messages: bool,
        dialect: Dialect,
    ) -> Option<PushToken> {
        let either = self.push_token.unwrap_or_default();
        let apn = self
            .apn_token
            .map(|token| token.apn_registration_id)
            .into_iter()
            .chain(either.apn_registration_id);
        let gcm = self
            .gcm_token
            .map(|token| token.gcm_registration_id)
            .into_iter()
            .chain(either.gcm_registration_id);
        let mut tokens: Vec<_> = apn
            .map(PushToken::Apn)
            .chain(gcm.map(PushToken::Fcm))
            .collect();
        let empty = |token: &PushToken| match token {
            PushToken::Apn(token) | PushToken::Fcm(token) => token.is_empty(),
        };
        violations.check(!tokens.iter().any(empty), "pushToken must not be empty");
        let channels = tokens.len() + usize::from(fetches_messages);
        let enough = channels == 1 || (channels == 0 && dialect == Dialect::Seed);
        violations.check(enough, "exactlyOneMessageDeliveryChannel must be true");
        tokens.pop()
    }
}
