//! `PUT` and `DELETE /v1/accounts/gcm`: whether Google wakes the calling device. Either takes all other ways of waking it
//! away.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is so |
//! | 401 | no or wrong credentials |
//! | 422 | no token in the body |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::set_push_token::{
    PushChange, PushService, SetPushToken, SetPushTokenRefused,
};
use events::account::PushToken;
use events::values::Redacted;
use http::StatusCode;
use projections::Model;

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::activation::GcmToken;
use crate::http::violations::Violations;
use crate::state::Api;

impl From<SetPushTokenRefused> for Problem {
    fn from(refused: SetPushTokenRefused) -> Self {
        match refused {
            SetPushTokenRefused::NoSuchDevice => Self::credentials_required(),
        }
    }
}

/// Changes how the calling device is woken.
pub(super) async fn change(
    api: &Api,
    asked: &Asked,
    caller: &Authenticated,
    change: PushChange,
) -> Result<impl IntoResponse + use<>, Problem> {
    let command = SetPushToken {
        aci: caller.address.aci,
        device: caller.address.device,
        change,
    };
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[Model::Devices]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}

pub(crate) async fn put(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(token): Json<GcmToken>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let token = token.gcm_registration_id;
    violations.check(!token.is_empty(), "gcmRegistrationId must not be empty");
    violations.refuse()?;
    let token = Redacted(PushToken::Fcm(token));
    change(&api, &asked, &caller, PushChange::Wake(token)).await
}

pub(crate) async fn delete(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, PushChange::Leave(PushService::Fcm)).await
}
