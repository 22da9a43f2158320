//! What anonymous callers show in place of credentials.

use axum::extract::FromRequestParts;
use events::values::hashes::UnidentifiedAccessKey;
use http::request::Parts;

use crate::http::problem::Problem;
use crate::http::wire;

/// `Unidentified-Access-Key` and `Group-Send-Token`, as they were sent.
#[derive(Clone, Debug, Default)]
pub struct AccessKeyHeader {
    key: Option<Result<UnidentifiedAccessKey, MalformedKey>>,
    group_token: bool,
}

/// Not base64 of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access key is not base64 of 16 bytes")]
pub struct MalformedKey;

impl AccessKeyHeader {
    /// Whether a group-send token was shown.
    pub const fn has_group_token(&self) -> bool {
        self.group_token
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
}

impl<S: Send + Sync> FromRequestParts<S> for AccessKeyHeader {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let key = parts.headers.get("unidentified-access-key");
        Ok(Self {
            key: key.map(|value| parse(value.to_str().unwrap_or_default())),
            group_token: parts.headers.contains_key("group-send-token"),
        })
    }
}

fn parse(text: &str) -> Result<UnidentifiedAccessKey, MalformedKey> {
    let bytes = wire::from_standard(text.trim()).ok_or(MalformedKey)?;
    UnidentifiedAccessKey::try_from(bytes).map_err(|_| MalformedKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_access_key_is_base64_of_16_bytes() {
        assert!(
            parse("AAAAAAAAAAAAAAAAAAAAAA==").is_ok() && parse("AAAAAAAAAAAAAAAAAAAAAA").is_ok()
        );
        for wrong in ["", "AAAA", "***", "AAAAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(parse(wrong), Err(MalformedKey), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_refused(text: String) {
            let _ = parse(&text);
        }
    }
}
