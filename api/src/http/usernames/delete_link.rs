//! `DELETE /v1/accounts/username_link`: nothing stands behind the account's link any more. 204, whether or not it had one.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::username::DeleteUsernameLink;
use http::StatusCode;
use projections::Model;

use crate::http::extract::Authenticated;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    let command = DeleteUsernameLink {
        aci: caller.address.aci,
    };
    let account = caller.address.aci.to_string();
    api.limits
        .take(Limit::UsernameLinkOperation, &account)
        .await?;
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[Model::Accounts]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}
