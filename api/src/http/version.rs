//! Which official clients are too old to be served. What does not name itself as one of them is let through.

use std::str::FromStr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};

use crate::http::problem::Problem;
use crate::state::Api;

/// The official clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Telephones of many makers.
    Android,
    /// Computers.
    Desktop,
    /// Telephones and tablets of one.
    Ios,
}

/// Of an official client. Older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// Not three numbers, or not the name of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

impl FromStr for Version {
    type Err = Malformed;

    /// Three numbers with dots between them. What follows behind a `-` or `+` makes a version neither older nor newer.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[major, minor, patch]) => Ok(Self(major, minor, patch)),
            _ => Err(Malformed("a version has the form 1.2.3")),
        }
    }
}

impl FromStr for Platform {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let all = [
            ("android", Self::Android),
            ("desktop", Self::Desktop),
            ("ios", Self::Ios),
        ];
        let named = all.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named
            .map(|(_, platform)| *platform)
            .ok_or(Malformed("the platforms are android, desktop and ios"))
    }
}

/// `Signal-(Android|Desktop|iOS)/<version>[ anything]`
fn official(user_agent: &str) -> Option<(Platform, Version)> {
    let (platform, version) = user_agent.strip_prefix("Signal-")?.split_once('/')?;
    let version = version.split(' ').next()?;
    Some((platform.parse().ok()?, version.parse().ok()?))
}

/// Whether the client says that it is one that is too old.
pub(crate) fn is_too_old(api: &Api, headers: &HeaderMap) -> bool {
    let oldest = &api.config.oldest_clients;
    let agent = headers.get(USER_AGENT).filter(|_| !oldest.is_empty());
    let known = agent.and_then(|agent| official(agent.to_str().ok()?));
    known.is_some_and(|(platform, version)| {
        oldest
            .get(&platform)
            .is_some_and(|oldest| version < *oldest)
    })
}

/// Answers 499 to clients that are too old.
pub(crate) async fn gate(State(api): State<Api>, request: Request, next: Next) -> Response {
    if is_too_old(&api, request.headers()) {
        let outdated = StatusCode::from_u16(499).expect("499 is a status");
        return Problem::of(outdated).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn official_clients_say_what_they_are() {
        for (agent, expected) in [
            (
                "Signal-Desktop/7.80.0 Linux",
                Some((Platform::Desktop, Version(7, 80, 0))),
            ),
            ("Signal-iOS/7.1.2", Some((Platform::Ios, Version(7, 1, 2)))),
            (
                "Signal-Android/7.9.1-beta+5 x",
                Some((Platform::Android, Version(7, 9, 1))),
            ),
            ("Signal-Android/7.9", None),
            ("Signal-Watch/1.0.0", None),
            ("libsignal/0.103.0", None),
        ] {
            assert_eq!(official(agent), expected, "{agent}");
        }
        assert!(Version(7, 9, 1) < Version(7, 10, 0));
    }

    proptest! {
        #[test]
        fn any_agent_is_read_or_let_through(agent: String) {
            let _ = official(&agent);
        }
    }
}
