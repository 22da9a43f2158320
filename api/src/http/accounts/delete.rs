//! `DELETE /v1/accounts/me`: the account ends. 204; any of its devices may ask for it.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::delete_account::DeleteAccount;
use http::StatusCode;
use projections::Model;

use crate::http::extract::Authenticated;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    let command = DeleteAccount {
        aci: caller.address.aci,
    };
    let deleted = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await;
    let deleted =
        deleted.map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    let position = api
        .settled(&deleted, &[Model::Accounts, Model::Devices])
        .await;
    Ok((StatusCode::NO_CONTENT, position))
}
