//! `GET /v2/config`: what clients are to do in one way or another. 304 if the client has seen it; 401.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use events::Aci;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::extract::{Agent, Authenticated, Json};
use crate::http::problem::Problem;
use crate::remote_config::{platform, tag};
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RemoteConfig)]
pub struct ConfigResponse {
    /// All values are text, flags too.
    pub config: BTreeMap<String, String>,
}

/// The entries for an account whose client calls itself this.
pub(crate) fn entries(api: &Api, aci: Aci, user_agent: Option<&str>) -> BTreeMap<String, String> {
    api.config.entries_for(aci, platform(user_agent))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    agent: Agent,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let config = entries(&api, caller.address.aci, agent.user_agent.as_deref());
    let tag = format!("\"{}\"", tag(&config));
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(ConfigResponse { config })).into_response())
}
