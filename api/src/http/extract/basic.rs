//! `Authorization: Basic`, before anybody has checked it.

use axum::extract::FromRequestParts;
use events::values::Redacted;
use events::{Aci, DeviceId, E164};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::http::problem::Problem;
use crate::http::wire;

/// Credentials as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// What stands before the first colon.
    pub username: Redacted<Box<str>>,
    /// What stands after it.
    pub password: Redacted<Box<str>>,
}

/// Not in the form of Basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header does not hold Basic credentials")]
pub struct MalformedBasic;

impl Basic {
    /// Parses a header whose scheme is `Basic` in any case.
    pub fn lenient(value: &HeaderValue) -> Result<Self, MalformedBasic> {
        Self::parse(value, |scheme| scheme.eq_ignore_ascii_case("Basic"))
    }

    /// Parses a header whose scheme is `Basic` to the letter.
    pub fn strict(value: &HeaderValue) -> Result<Self, MalformedBasic> {
        Self::parse(value, |scheme| scheme == "Basic")
    }

    fn parse(
        value: &HeaderValue,
        is_basic: impl FnOnce(&str) -> bool,
    ) -> Result<Self, MalformedBasic> {
        let text = value.to_str().map_err(|_| MalformedBasic)?;
        let (scheme, encoded) = text.split_once(' ').ok_or(MalformedBasic)?;
        if !is_basic(scheme) {
            return Err(MalformedBasic);
        }
        let decoded = wire::from_standard(encoded.trim()).ok_or(MalformedBasic)?;
        let decoded = String::from_utf8(decoded).map_err(|_| MalformedBasic)?;
        let (username, password) = decoded.split_once(':').ok_or(MalformedBasic)?;
        Ok(Self {
            username: Redacted(username.into()),
            password: Redacted(password.into()),
        })
    }

    /// The credentials in the headers, if there are any.
    pub fn of(headers: &HeaderMap) -> Option<Result<Self, MalformedBasic>> {
        headers.get(AUTHORIZATION).map(Self::lenient)
    }
}

/// Credentials that a client has chosen for itself and sends for the first time: to register, or to be linked.
#[derive(Clone, Debug)]
pub struct StrictBasic(pub Basic);

impl<S: Send + Sync> FromRequestParts<S> for StrictBasic {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION);
        let header = header
            .ok_or_else(|| Problem::bad_parameter("header Authorization must not be null"))?;
        Basic::strict(header)
            .map(Self)
            .map_err(|MalformedBasic| Problem::credentials_required())
    }
}

/// A username: `<aci>` or `<aci>.<device>`; a number may stand in for the account's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// Whose.
    pub account: AccountName,
    /// Which of its devices; the primary if it is not said.
    pub device: DeviceId,
}

/// How a username names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By its id.
    Aci(Aci),
    /// By its number.
    Number(E164),
}

impl std::str::FromStr for Username {
    type Err = MalformedBasic;

    fn from_str(text: &str) -> Result<Self, MalformedBasic> {
        let (account, device) = match text.split_once('.') {
            Some((account, device)) => (account, device.parse().map_err(|_| MalformedBasic)?),
            None => (text, DeviceId::PRIMARY),
        };
        let account = if account.starts_with('+') {
            AccountName::Number(account.parse().map_err(|_| MalformedBasic)?)
        } else {
            AccountName::Aci(account.parse().map_err(|_| MalformedBasic)?)
        };
        Ok(Self { account, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(String, String), MalformedBasic> {
        let Basic { username, password } = Basic::lenient(&text.parse().unwrap())?;
        Ok((username.0.into(), password.0.into()))
    }

    #[test]
    fn the_first_colon_parts_name_and_password() {
        assert_eq!(parse("Basic YTpiOmM="), Ok(("a".into(), "b:c".into())));
        assert_eq!(parse("bAsIc YTpiOmM"), Ok(("a".into(), "b:c".into())));
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Bearer YTpi",
            "Basic !!!!",
            "Basic YWJj",
            "Basic /zo=",
        ] {
            assert_eq!(parse(wrong), Err(MalformedBasic), "{wrong}");
        }
        assert!(Basic::strict(&"basic YTpi".parse().unwrap()).is_err());
    }

    #[test]
    fn a_username_without_a_device_means_the_primary() {
        let aci = "2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
        let device = |text: &str| {
            text.parse::<Username>()
                .map(|username| username.device.get())
        };
        assert_eq!((device(aci), device(&format!("{aci}.3"))), (Ok(1), Ok(3)));
        assert_eq!(
            (device("+14151231234"), device("+14151231234.2")),
            (Ok(1), Ok(2))
        );
        for wrong in [
            "",
            ".1",
            "PNI:2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11",
            "+1",
            &format!("{aci}.0"),
            &format!("{aci}.1.1"),
        ] {
            assert!(device(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_credentials_or_refused(text: String) {
            let _ = text.parse::<Username>();
            if let Ok(value) = HeaderValue::from_str(&text) {
                let _ = (Basic::lenient(&value), Basic::strict(&value));
            }
            let encoded = format!("Basic {}", crate::http::wire::to_url_safe_padded(text.as_bytes()));
            let _ = parse(&encoded);
        }
    }
}
