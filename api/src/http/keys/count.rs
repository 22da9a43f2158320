//! `GET /v2/keys?identity=`: how many one-time pre-keys the calling device has left. 401; 400 for another identity.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{IdentityParameter, own_identity};
use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreKeyCount)]
pub struct CountResponse {
    /// Curve25519.
    pub count: u32,
    /// Kyber; the key of last resort does not count.
    pub pq_count: u32,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(parameters): Parameters<IdentityParameter>,
) -> Result<Json<CountResponse>, Problem> {
    let identity = own_identity(&api, &caller, parameters.identity).await?;
    let counts = api
        .queries
        .pre_keys()
        .counts(identity, caller.address.device, caller.address.generation)
        .await;
    let counts = counts.map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(CountResponse {
        count: counts.ec,
        pq_count: counts.kyber,
    }))
}
