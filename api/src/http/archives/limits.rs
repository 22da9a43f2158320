//! `GET /v1/archives/backupid/limits`: whether the account may change its requests now, and if not, how long it has to wait.
//! 401.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackupRequestLimits)]
pub struct LimitsResponse {
    /// Whether it may.
    pub has_permits_remaining: bool,
    /// How many seconds it has to wait.
    pub retry_after_seconds: u64,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<LimitsResponse>, Problem> {
    let account = caller.address.aci.to_string();
    let wait = api.limits.wait(Limit::SetBackupId, &account).await?;
    Ok(Json(LimitsResponse {
        has_permits_remaining: wait.is_zero(),
        retry_after_seconds: wait.as_secs(),
    }))
}
