//! `GET /v1/accounts/whoami`: the caller's own account. 401 without credentials.

use axum::extract::State;

use super::identity::IdentityResponse;
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<IdentityResponse>, Problem> {
    let account = api.queries.accounts().by_aci(caller.address.aci).await;
    let account = account.map_err(|error| Problem::unavailable(&error))?;
    let account = account.ok_or_else(Problem::credentials_required)?;
    Ok(Json(account.into()))
}
