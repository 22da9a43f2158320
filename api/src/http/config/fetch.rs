//! `GET /v2/config`: what clients are to do in one way or another. 304 if the client has seen it; 401.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

pub(crate) async fn handler(
    State(api): State<Api>,
    _: Authenticated,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let config: BTreeMap<_, _> = api.config.remote.iter().cloned().collect();
    let tag = tag(&config);
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(ConfigResponse { config })).into_response())
}
