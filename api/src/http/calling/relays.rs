//! `GET /v2/calling/relays`: where the calling account's calls can be relayed, and its credentials there. 401; 429. An
//! installation without relays answers with none.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RelaysResponse {
    /// The relays.
    pub relays: Vec<RelayResponse>,
}

/// A relay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelayResponse {
    /// When the credentials expire (seconds since 1970), and for whom they are.
    pub username: String,
    /// The proof.
    pub password: String,
    /// How long the credentials are good, in seconds.
    pub ttl: u64,
    /// Where it is, by name: `turn:…`.
    pub urls: Vec<String>,
    /// Where it is, by address.
    pub urls_with_ips: Vec<String>,
    /// The name that its certificate is for, if it is reached by address.
    pub hostname: Option<String>,
}

impl std::fmt::Debug for RelayResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayResponse({:?}, …)", self.urls)
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<RelaysResponse>, Problem> {
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::GetCallingRelays, &account).await?;
    let now = api.clock.now();
    let relay = |relay: &crate::config::Relay| {
        let credentials = relay.key.issue(caller.address.aci, relay.lifetime, now);
        RelayResponse {
            username: credentials.username,
            password: credentials.password,
            ttl: relay.lifetime.as_secs(),
            urls: relay.urls.clone(),
            urls_with_ips: relay.urls_with_ips.clone(),
            hostname: relay.hostname.clone(),
        }
    };
    Ok(Json(RelaysResponse {
        relays: api.config.relays.iter().map(relay).collect(),
    }))
}
