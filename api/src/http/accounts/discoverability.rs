//! `PUT /v2/accounts/phone_number_discoverability`: whether the account can be found by its number.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is so |
//! | 401 | no or wrong credentials |
//! | 422 | nothing is said |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::change_access::{AccessChange, ChangeAccess, ChangeAccessRefused};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;

/// The body.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = Discoverability)]
pub struct DiscoverabilityRequest {
    /// Whether it can.
    pub discoverable_by_phone_number: Option<bool>,
}

impl From<ChangeAccessRefused> for Problem {
    fn from(refused: ChangeAccessRefused) -> Self {
        match refused {
            ChangeAccessRefused::NoSuchAccount => Self::credentials_required(),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<DiscoverabilityRequest>,
) -> Result<impl IntoResponse, Problem> {
    let said = request.discoverable_by_phone_number;
    let discoverable =
        said.ok_or_else(|| Problem::invalid(["discoverableByPhoneNumber must not be null"]))?;
    let command = ChangeAccess {
        aci: caller.address.aci,
        change: AccessChange::Discoverable(discoverable),
    };
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[Model::Accounts]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}
