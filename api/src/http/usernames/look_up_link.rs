//! `GET /v1/accounts/username_link/{handle}`: the encrypted username behind a link. 400 for who says who they are, 404 if
//! nothing stands there.

use axum::extract::State;
use events::LinkHandle;

use super::set_link::LinkRequest;
use crate::http::extract::{AnonymousOnly, ClientAddress, Json, Segments};
use crate::http::problem::Problem;
use crate::http::wire::Base64;
use crate::limits::rates::Limit;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    _: AnonymousOnly,
    address: ClientAddress,
    Segments((handle,)): Segments<(LinkHandle,)>,
) -> Result<Json<LinkRequest>, Problem> {
    api.limits
        .take(Limit::UsernameLinkLookup, &address.bucket())
        .await?;
    let found = api.queries.accounts().behind_link(handle).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let value = found.ok_or_else(Problem::not_found)?;
    Ok(Json(LinkRequest {
        username_link_encrypted_value: Some(Base64::new(value)),
        keep_link_handle: false,
    }))
}
