//! `PUT /v1/accounts/username_hash/reserve`: keeps a username for the account until it confirms it.
//!
//! | status | when |
//! |---|---|
//! | 200 | the first of those asked for that the account may have; kept for five minutes |
//! | 401 | no or wrong credentials |
//! | 409 | others have them all |
//! | 422 | not 1 to 20 hashes of 32 bytes |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::username::ReserveUsername;
use commands::username::reserve_username::{MAX_CANDIDATES, ReserveUsernameRefused};
use events::values::username::UsernameHash;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, UrlSafe};
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = UsernameReservation)]
pub struct ReserveRequest {
    /// The hashes, the one that is liked best first.
    #[schema(value_type = Vec<String>)]
    pub username_hashes: Vec<Base64<UsernameHash, UrlSafe>>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReservedUsername)]
pub struct ReserveResponse {
    /// The hash that is kept.
    #[schema(value_type = String)]
    pub username_hash: Base64<UsernameHash, UrlSafe>,
}

impl From<ReserveUsernameRefused> for Problem {
    fn from(refused: ReserveUsernameRefused) -> Self {
        match refused {
            ReserveUsernameRefused::NoSuchAccount => Self::credentials_required(),
            ReserveUsernameRefused::AllTaken => Self::of(StatusCode::CONFLICT),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<ReserveRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let fits = (1..=MAX_CANDIDATES).contains(&request.username_hashes.len());
    violations.check(fits, "usernameHashes size must be between 1 and 20");
    violations.refuse()?;
    let command = ReserveUsername {
        aci: caller.address.aci,
        candidates: request.username_hashes.iter().map(|hash| hash.0).collect(),
    };
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::UsernameReserve, &account).await?;
    let context = asked.by(caller.actor());
    let (hash, position) = api.perform(&command, &context, &[]).await?;
    let username_hash = Base64::new(hash);
    Ok((position, Json(ReserveResponse { username_hash })))
}
