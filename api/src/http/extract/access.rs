//! What anonymous callers show in place of credentials.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use commands::account::Caller;
use crypto::zk::group_send::Token;
use events::ServiceId;
use events::values::hashes::UnidentifiedAccessKey;
use http::request::Parts;

use crate::http::extract::Authenticated;
use crate::http::problem::Problem;
use crate::http::wire;
use crate::state::Api;

/// `Unidentified-Access-Key` and `Group-Send-Token`, as they were sent.
#[derive(Clone, Debug, Default)]
pub struct AccessKeyHeader {
    key: Option<Result<UnidentifiedAccessKey, MalformedKey>>,
    token: Option<Result<Token, MalformedToken>>,
}

/// Not base64 of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access key is not base64 of 16 bytes")]
pub struct MalformedKey;

/// Not base64 of a group-send token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group-send token is not base64 of one")]
pub struct MalformedToken;

/// Whether a group-send token may stand beside credentials. With an access key it never may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenBesideCredentials {
    /// It comes alone: who says who they are needs none.
    Refused,
    /// The credentials count.
    Ignored,
}

impl AccessKeyHeader {
    /// Whether a group-send token was shown.
    pub const fn has_group_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether an access key was shown, well-formed or not.
    pub const fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The access key. None, and one that is malformed, are 401: anonymous callers learn nothing from the difference.
    pub fn required(self) -> Result<UnidentifiedAccessKey, Problem> {
        match self.key {
            Some(Ok(key)) => Ok(key),
            Some(Err(MalformedKey)) | None => Err(Problem::unauthorized()),
        }
    }

    /// The same headers without the token, for endpoints that know none.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self {
            token: None,
            ..self
        }
    }

    /// The group-send token, verified for everybody whom a request addresses. One that is malformed, expired or for
    /// others is 401.
    pub async fn group_member(
        self,
        api: &Api,
        recipients: BTreeSet<ServiceId>,
    ) -> Result<(), Problem> {
        let Some(Ok(token)) = self.token else {
            return Err(Problem::unauthorized());
        };
        let now = api.clock.now();
        let verified = api
            .issue(move |keys, _| token.verify(&keys.group, recipients, now))
            .await?;
        verified.map_err(|_| Problem::unauthorized())
    }

    /// Who asks for something of `target`, from all that they show. Credentials win over an access key.
    pub async fn caller(
        self,
        api: &Api,
        authenticated: Option<&Authenticated>,
        target: ServiceId,
        beside_credentials: TokenBesideCredentials,
    ) -> Result<Caller, Problem> {
        let token = self.has_group_token();
        let misplaced = self.has_key()
            || (authenticated.is_some() && beside_credentials == TokenBesideCredentials::Refused);
        match authenticated {
            _ if token && misplaced => Err(Problem::bad_request("a group-send token comes alone")),
            Some(caller) => Ok(Caller::Device(caller.address.aci, caller.address.device)),
            None if token => {
                self.group_member(api, BTreeSet::from([target])).await?;
                Ok(Caller::GroupMember)
            }
            None => self.required().map(Caller::AccessKey),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AccessKeyHeader {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = |name| {
            let value: Option<&http::HeaderValue> = parts.headers.get(name);
            value.map(|value| value.to_str().unwrap_or_default())
        };
        Ok(Self {
            key: header("unidentified-access-key").map(parse_key),
            token: header("group-send-token").map(parse_token),
        })
    }
}

fn parse_key(text: &str) -> Result<UnidentifiedAccessKey, MalformedKey> {
    let bytes = wire::from_standard(text.trim()).ok_or(MalformedKey)?;
    UnidentifiedAccessKey::try_from(bytes).map_err(|_| MalformedKey)
}

fn parse_token(text: &str) -> Result<Token, MalformedToken> {
    let bytes = wire::from_standard(text.trim()).ok_or(MalformedToken)?;
    Token::parse(&bytes).map_err(|_| MalformedToken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_access_key_is_base64_of_16_bytes() {
        assert!(
            parse_key("AAAAAAAAAAAAAAAAAAAAAA==").is_ok()
                && parse_key("AAAAAAAAAAAAAAAAAAAAAA").is_ok()
        );
        for wrong in ["", "AAAA", "***", "AAAAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(parse_key(wrong), Err(MalformedKey), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_refused(text: String) {
            let _ = parse_key(&text);
            let _ = parse_token(&text);
        }
    }
}
