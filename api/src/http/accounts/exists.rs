//! `HEAD /v1/accounts/account/{id}`: whether there is such an account. 200 or 404; 400 for who says who they are.

use axum::extract::State;
use events::ServiceId;
use http::StatusCode;

use crate::http::extract::{AnonymousOnly, ClientAddress, Segments};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    _: AnonymousOnly,
    address: ClientAddress,
    Segments((account,)): Segments<(ServiceId,)>,
) -> Result<StatusCode, Problem> {
    let limit = Limit::CheckAccountExistence;
    api.limits.take(limit, &address.bucket()).await?;
    let exists = api
        .queries
        .accounts()
        .exists(account)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    if exists {
        Ok(StatusCode::OK)
    } else {
        Err(Problem::not_found())
    }
}
