//! From requests to values: credentials, parameters, bodies. Past these, nobody checks again.

pub mod access;
pub mod address;
pub mod basic;
pub mod device;
pub mod json;
pub mod path;

pub use access::{AccessKeyHeader, TokenBesideCredentials};
pub use address::ClientAddress;
pub use basic::{Basic, StrictBasic};
pub use device::{AnonymousOnly, Authenticated, MaybeAuthenticated, SocketPeer};
pub use json::Json;
pub use path::{Named, Parameters, Segment, Segments};

use axum::extract::FromRequestParts;
use http::request::Parts;
use std::convert::Infallible;

/// `User-Agent` and `X-Signal-Agent`, as far as they are readable.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// What the client says it is; official ones follow a pattern.
    pub user_agent: Option<String>,
    /// The kind of application, in its own words. Stored with the device.
    pub signal_agent: Option<Box<str>>,
}

/// The longest `X-Signal-Agent` that is stored; official ones have three letters.
const MAX_SIGNAL_AGENT: usize = 64;

impl<S: Send + Sync> FromRequestParts<S> for Agent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let stored = header("x-signal-agent").map(str::trim);
        Ok(Self {
            user_agent: header("user-agent").map(str::to_owned),
            signal_agent: stored
                .filter(|agent| (1..=MAX_SIGNAL_AGENT).contains(&agent.len()))
                .map(Into::into),
        })
    }
}
