//! `GET /v1/profile/{service id}`: what an account shows to everybody who may write to it. For an account it holds its
//! current version too, which deployed clients do not ask for here, and others expect.
//!
//! | status | when |
//! |---|---|
//! | 200 | the profile |
//! | 400 | an access key together with a group-send token |
//! | 401 | nothing shown; an access key or group-send token that does not open the account |
//! | 404 | no such account |
//! | 429 | too many profiles, with credentials |

use axum::extract::State;
use events::ServiceId;
use serde::{Deserialize, Serialize};

use super::wire::{BaseProfile, CredentialProfile, VersionFields, VersionedProfile};
use crate::http::extract::{
    AccessKeyHeader, Json, MaybeAuthenticated, Segments, TokenBesideCredentials,
};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = AnyProfile)]
pub enum FetchResponse {
    /// Of an account.
    Account(Box<CredentialProfile>),
    /// Of a number's identity.
    Number(BaseProfile),
}

pub(crate) async fn handler(
    State(api): State<Api>,
    MaybeAuthenticated(authenticated): MaybeAuthenticated,
    access: AccessKeyHeader,
    Segments((identity,)): Segments<(ServiceId,)>,
) -> Result<Json<FetchResponse>, Problem> {
    let caller = access
        .caller(
            &api,
            authenticated.as_ref(),
            identity,
            TokenBesideCredentials::Ignored,
        )
        .await?;
    api.count_fetch(authenticated.as_ref()).await?;
    let account = api.reach(identity, &caller).await?;
    let unavailable = |error| Problem::unavailable(&error);
    let devices = api.queries.devices().of(account.aci).await;
    let base = BaseProfile::of(&account, &devices.map_err(unavailable)?, identity);
    if matches!(identity, ServiceId::Pni(_)) {
        return Ok(Json(FetchResponse::Number(base)));
    }
    let current = api.queries.profiles().current(account.aci).await;
    let fields = current.map_err(unavailable)?.map(VersionFields::from);
    Ok(Json(FetchResponse::Account(Box::new(CredentialProfile {
        profile: VersionedProfile {
            base,
            fields: fields.unwrap_or_default(),
        },
        credential: None,
    }))))
}
