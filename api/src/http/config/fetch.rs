//! `GET /v2/config`: what clients are to do in one way or another. 304 if the client has seen it; 401.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::extract::{Agent, Authenticated, Json};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RemoteConfig)]
pub struct ConfigResponse {
    /// All values are text, flags too.
    pub config: BTreeMap<String, String>,
}

/// A tag of the content that is the same on every node: FNV-1a, 32 bits.
fn tag(config: &BTreeMap<String, String>) -> String {
    let lines = config
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\n"]);
    let hash = lines.flatten().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("\"{hash:08x}\"")
}

/// The platforms whose names lead entries that are for them only.
const PLATFORMS: [&str; 3] = ["android", "desktop", "ios"];

/// Whether an entry is for a client: those that begin with a platform's name are for that platform.
fn is_for(name: &str, platform: Option<&str>) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    !PLATFORMS.contains(&first) || platform == Some(first)
}

/// `Signal-(Android|Desktop|iOS)/…`
fn platform(user_agent: &str) -> Option<&'static str> {
    let name = user_agent.strip_prefix("Signal-")?.split('/').next()?;
    PLATFORMS
        .into_iter()
        .find(|platform| name.eq_ignore_ascii_case(platform))
}

/// The entries for a client that calls itself this.
pub(crate) fn entries(api: &Api, user_agent: Option<&str>) -> BTreeMap<String, String> {
    let platform = user_agent.and_then(platform);
    let mut entries = api.config.remote_entries();
    entries.retain(|name, _| is_for(name, platform));
    entries
}

pub(crate) async fn handler(
    State(api): State<Api>,
    _: Authenticated,
    agent: Agent,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let config = entries(&api, agent.user_agent.as_deref());
    let tag = tag(&config);
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(ConfigResponse { config })).into_response())
}
