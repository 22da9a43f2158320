//! `PUT` and `DELETE /v1/accounts/apn`: whether Apple wakes the calling device. Either takes all other ways of waking it
//! away.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is so |
//! | 401 | no or wrong credentials |
//! | 422 | no token in the body |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::set_push_token::{PushChange, PushService};
use events::account::PushToken;
use events::values::Redacted;

use super::gcm::change;
use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::activation::ApnToken;
use crate::http::violations::Violations;
use crate::state::Api;

pub(crate) async fn put(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(token): Json<ApnToken>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let token = token.apn_registration_id;
    violations.check(!token.is_empty(), "apnRegistrationId must not be empty");
    violations.refuse()?;
    let token = Redacted(PushToken::Apn(token));
    change(&api, &asked, &caller, PushChange::Wake(token)).await
}

pub(crate) async fn delete(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, PushChange::Leave(PushService::Apn)).await
}
