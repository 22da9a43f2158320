//! `GET /v1/profile/{aci}/{version}`: one version of an account's profile. A version that nobody wrote is shown empty.
//!
//! | status | when |
//! |---|---|
//! | 200 | the profile |
//! | 401 | nothing shown, or an access key that does not open the account |
//! | 404 | no such account, or not an account's id |
//! | 429 | too many profiles, with credentials |

use axum::extract::State;
use commands::account::Caller;
use events::Aci;
use projections::profiles::StoredProfile;

use super::wire::{BaseProfile, VersionFields, VersionedProfile};
use crate::http::extract::{
    AccessKeyHeader, Authenticated, Json, MaybeAuthenticated, Segments, TokenBesideCredentials,
};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// Who asks for a version, once more: group-send tokens are not known here.
pub(super) async fn caller(
    api: &Api,
    authenticated: Option<&Authenticated>,
    access: AccessKeyHeader,
    target: Aci,
) -> Result<Caller, Problem> {
    let access = access.without_token();
    let beside = TokenBesideCredentials::Ignored;
    let caller = access.caller(api, authenticated, target.into(), beside);
    let caller = caller.await?;
    api.count_fetch(authenticated).await?;
    Ok(caller)
}

impl Api {
    /// Counts a look at a profile by somebody who says who they are.
    pub(super) async fn count_fetch(
        &self,
        authenticated: Option<&Authenticated>,
    ) -> Result<(), Problem> {
        let Some(Authenticated { address }) = authenticated else {
            return Ok(());
        };
        let asking = address.aci.to_string();
        Ok(self.limits.take(Limit::Profile, &asking).await?)
    }
}

/// What an account shows, and one version of it as it is stored, for a caller who may see it. The version is named by a
/// text that may be anything.
pub(super) async fn find(
    api: &Api,
    caller: &Caller,
    aci: Aci,
    version: &str,
) -> Result<(BaseProfile, Option<StoredProfile>), Problem> {
    let account = api.reach(aci.into(), caller).await?;
    let unavailable = |error| Problem::unavailable(&error);
    let devices = api.queries.devices().of(aci).await;
    let base = BaseProfile::of(&account, &devices.map_err(unavailable)?, aci.into());
    let stored = match version.parse() {
        Ok(version) => api.queries.profiles().version(aci, version).await,
        Err(_) => Ok(None),
    };
    Ok((base, stored.map_err(unavailable)?))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    MaybeAuthenticated(authenticated): MaybeAuthenticated,
    access: AccessKeyHeader,
    Segments((aci, version)): Segments<(Aci, String)>,
) -> Result<Json<VersionedProfile>, Problem> {
    let caller = caller(&api, authenticated.as_ref(), access, aci).await?;
    let (base, stored) = find(&api, &caller, aci, &version).await?;
    let fields = stored.map(VersionFields::from).unwrap_or_default();
    Ok(Json(VersionedProfile { base, fields }))
}
