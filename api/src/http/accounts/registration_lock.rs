//! `PUT` and `DELETE /v1/accounts/registration_lock`: what whoever registers the number again must know.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is so; also if there was nothing to delete |
//! | 401 | no or wrong credentials |
//! | 422 | not 64 characters |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::change_protection::{
    ChangeProtection, ChangeProtectionRefused, ProtectionChange,
};
use crypto::token_hash;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::attributes::LOCK_LEN;
use crate::http::violations::Violations;
use crate::state::Api;

/// The body.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = RegistrationLock)]
pub struct LockRequest {
    /// The lock: 64 characters.
    #[schema(value_type = Option<String>)]
    pub registration_lock: Option<Box<str>>,
}

impl From<ChangeProtectionRefused> for Problem {
    fn from(refused: ChangeProtectionRefused) -> Self {
        match refused {
            ChangeProtectionRefused::NoSuchAccount => Self::credentials_required(),
        }
    }
}

async fn change(
    api: &Api,
    asked: &Asked,
    caller: &Authenticated,
    change: ProtectionChange,
) -> Result<impl IntoResponse + use<>, Problem> {
    let command = ChangeProtection {
        aci: caller.address.aci,
        change,
    };
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}

pub(crate) async fn put(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<LockRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let lock = request.registration_lock.unwrap_or_default();
    let fits = lock.chars().count() == LOCK_LEN;
    violations.check(fits, "registrationLock must have 64 characters");
    violations.refuse()?;
    let lock = token_hash::hash(&lock, api.entropy.bytes());
    change(
        &api,
        &asked,
        &caller,
        ProtectionChange::RegistrationLock(lock),
    )
    .await
}

pub(crate) async fn delete(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, ProtectionChange::NoRegistrationLock).await
}
