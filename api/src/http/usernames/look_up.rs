//! `GET /v1/accounts/username_hash/{hash}`: whose username it is.
//!
//! | status | when |
//! |---|---|
//! | 200 | the account |
//! | 400 | the caller says who they are, and the server is switched to the deployed dialect |
//! | 404 | nobody's; not 32 bytes in base64, when the server is switched to the seed dialect |
//! | 422 | not 32 bytes in base64 |
//!
//! The two contracts differ: one asks for credentials, the other forbids them. Official clients show none, so that both are
//! content when it does not matter.

use axum::extract::State;
use events::Aci;
use events::values::username::UsernameHash;
use serde::{Deserialize, Serialize};

use crate::config::DialectSwitch;
use crate::http::extract::{ClientAddress, Json, MaybeAuthenticated, Segments};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = UsernameHashLookupResponse)]
pub struct LookUpResponse {
    /// The account.
    #[schema(value_type = String)]
    pub uuid: Aci,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    MaybeAuthenticated(caller): MaybeAuthenticated,
    address: ClientAddress,
    hash: Result<Segments<(UsernameHash,)>, Problem>,
) -> Result<Json<LookUpResponse>, Problem> {
    let Segments((hash,)) = hash.map_err(|malformed| match api.config.dialect {
        DialectSwitch::Seed => Problem::not_found(),
        DialectSwitch::ByContent | DialectSwitch::Deployed => malformed,
    })?;
    if caller.is_some() && api.config.dialect == DialectSwitch::Deployed {
        return Err(Problem::bad_request(
            "Operation requires unauthenticated access",
        ));
    }
    api.limits
        .take(Limit::UsernameLookup, &address.bucket())
        .await?;
    let found = api.queries.accounts().by_username(hash).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let uuid = found.ok_or_else(Problem::not_found)?;
    Ok(Json(LookUpResponse { uuid }))
}
