//! `GET /v1/config`: the same entries in an older form, and the server's time. 401.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::fetch::entries;
use crate::http::extract::{Agent, Authenticated, Json};
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OldConfigResponse {
    /// The entries.
    pub config: Vec<OldEntry>,
    /// Seconds since 1970.
    pub server_epoch_time: u64,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OldEntry {
    /// Its name.
    pub name: String,
    /// Whether it is anything but `false`.
    pub enabled: bool,
    /// Its value, unless that is a flag.
    pub value: Option<String>,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    agent: Agent,
) -> Json<OldConfigResponse> {
    let entries = entries(&api, caller.address.aci, agent.user_agent.as_deref());
    let entry = |(name, value): (String, String)| OldEntry {
        name,
        enabled: value != "false",
        value: Some(value).filter(|value| !matches!(&**value, "true" | "false")),
    };
    Json(OldConfigResponse {
        config: entries.into_iter().map(entry).collect(),
        server_epoch_time: api.clock.now().epoch_millis() / 1000,
    })
}
