//! `GET /v1/devices/provisioning/code`: a token by which the primary device lets another one join.
//!
//! | status | when |
//! |---|---|
//! | 200 | the token: good for ten minutes, and once |
//! | 401 | no or wrong credentials; not the primary device |
//! | 411 | no room for another device; `{"current", "max"}` |

use axum::extract::State;
use commands::device::DEVICE_LIMIT;
use crypto::linking::LinkTokens;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::limit_reached;
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The answer.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProvisioningCode)]
pub struct ProvisioningCodeResponse {
    /// The token.
    pub verification_code: String,
    /// Under which its use can be awaited.
    pub token_identifier: String,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<ProvisioningCodeResponse>, Problem> {
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::AllocateDevice, &account).await?;
    let devices = api
        .queries
        .devices()
        .of(caller.address.aci)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    if devices.len() >= DEVICE_LIMIT {
        return Err(limit_reached(StatusCode::LENGTH_REQUIRED, devices.len()));
    }
    if !caller.address.device.is_primary() {
        return Err(Problem::unauthorized());
    }
    let verification_code = api.link_tokens.issue(caller.address.aci, api.clock.now());
    let token_identifier = LinkTokens::identifier(&verification_code);
    Ok(Json(ProvisioningCodeResponse {
        verification_code,
        token_identifier,
    }))
}
