//! `PUT` and `DELETE /v1/accounts/apn` and `/v1/accounts/gcm`: whether Apple or Google wakes the calling device. Each takes
//! all other ways of waking it away.
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
use crate::http::registration::activation::{ApnToken, GcmToken};
use crate::http::violations::Violations;
use crate::state::Api;

/// A body with a token of one service.
pub(crate) trait Body {
    /// The service.
    const SERVICE: PushService;
    /// What is said if the token is missing.
    const RULE: &'static str;

    /// The token.
    fn token(self) -> PushToken;
}

impl Body for ApnToken {
    const SERVICE: PushService = PushService::Apn;
    const RULE: &'static str = "apnRegistrationId must not be empty";

    fn token(self) -> PushToken {
        PushToken::Apn(self.apn_registration_id)
    }
}

impl Body for GcmToken {
    const SERVICE: PushService = PushService::Fcm;
    const RULE: &'static str = "gcmRegistrationId must not be empty";

    fn token(self) -> PushToken {
        PushToken::Fcm(self.gcm_registration_id)
    }
}

impl From<SetPushTokenRefused> for Problem {
    fn from(refused: SetPushTokenRefused) -> Self {
        match refused {
            SetPushTokenRefused::NoSuchDevice => Self::credentials_required(),
        }
    }
}

pub(crate) async fn put<T: Body>(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(body): Json<T>,
) -> Result<impl IntoResponse, Problem> {
    let token = body.token();
    let mut violations = Violations::default();
    violations.check(token.is_well_formed(), T::RULE);
    violations.refuse()?;
    change(&api, &asked, &caller, PushChange::Wake(Redacted(token))).await
}

pub(crate) async fn delete<T: Body>(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, PushChange::Leave(T::SERVICE)).await
}

async fn change(
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
