//! `GET /v1/profile/{aci}/{version}/{credential request}?credentialType=expiringProfileKey`: one version of a profile, with
//! a credential by which its reader can show the profile key to groups.
//!
//! | status | when |
//! |---|---|
//! | 200 | the profile; without a credential if the version is not the current one |
//! | 400 | another type of credential, or a request that cannot be read or does not verify |
//! | 401 | nothing shown, or an access key that does not open the account |
//! | 404 | no such account, or not an account's id |
//! | 429 | too many profiles, with credentials |

use axum::extract::State;
use crypto::zk::profile::{self, Commitment, Request};
use events::Aci;
use projections::profiles::StoredProfile;
use serde::Deserialize;

use super::version::{caller, find};
use super::wire::{CredentialProfile, VersionFields, VersionedProfile};
use crate::http::extract::{AccessKeyHeader, Json, MaybeAuthenticated, Parameters, Segments};
use crate::http::problem::Problem;
use crate::http::wire::Base64;
use crate::state::Api;

/// The query.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialParameters {
    /// Which credential. There is one type.
    pub credential_type: Option<String>,
}

/// The one type of credential.
const EXPIRING_PROFILE_KEY: &str = "expiringProfileKey";

fn read(request: &str) -> Result<Request, Problem> {
    let bytes = hex::decode(request)
        .map_err(|_| Problem::bad_request("the credential request is not hex"))?;
    Request::parse(&bytes)
        .map_err(|_| Problem::bad_request("the credential request cannot be read"))
}

/// The credential, if the version is the current one and something was published about its key.
async fn issue(
    api: &Api,
    owner: Aci,
    stored: &StoredProfile,
    request: Request,
) -> Result<Option<Vec<u8>>, Problem> {
    let commitment = stored.commitment.as_ref().filter(|_| stored.current);
    // The door has read every commitment before it was stored.
    let commitment = commitment.and_then(|bytes| Commitment::parse(bytes.as_ref()).ok());
    let Some(commitment) = commitment else {
        return Ok(None);
    };
    let expiration = profile::expiration(api.clock.now());
    let issued = api
        .issue(move |keys, rng| {
            profile::issue(&keys.group, &request, owner, &commitment, expiration, rng)
        })
        .await?;
    issued
        .map(Some)
        .map_err(|_| Problem::bad_request("the credential request does not verify"))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    MaybeAuthenticated(authenticated): MaybeAuthenticated,
    access: AccessKeyHeader,
    Segments((aci, version, request)): Segments<(Aci, String, String)>,
    Parameters(parameters): Parameters<CredentialParameters>,
) -> Result<Json<CredentialProfile>, Problem> {
    let caller = caller(&api, authenticated.as_ref(), access, aci).await?;
    if parameters.credential_type.as_deref() != Some(EXPIRING_PROFILE_KEY) {
        return Err(Problem::bad_request("no such type of credential"));
    }
    let (base, stored) = find(&api, &caller, aci, &version).await?;
    let request = read(&request)?;
    let credential = match &stored {
        Some(stored) => issue(&api, aci, stored, request).await?,
        None => None,
    };
    let fields = stored.map(VersionFields::from).unwrap_or_default();
    Ok(Json(CredentialProfile {
        profile: VersionedProfile { base, fields },
        credential: credential.map(Base64::new),
    }))
}
