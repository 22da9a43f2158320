//! `GET /v1/certificate/auth/group?redemptionStartSeconds=&redemptionEndSeconds=`: credentials by which the calling account
//! shows groups and call links that it is one, without telling which. One for each day; 401; 400 for days that are not
//! given out.

use axum::extract::State;
use crypto::zk::Day;
use events::Pni;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::problem::Problem;
use crate::http::wire::{Base64, Padded};
use crate::state::Api;

/// The query: seconds since 1970, both the start of a day.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RedemptionParameters {
    /// The first day.
    pub redemption_start_seconds: u64,
    /// The last day.
    pub redemption_end_seconds: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GroupCredentials)]
pub struct GroupCredentials {
    /// For groups.
    pub credentials: Vec<DailyCredential>,
    /// For call links.
    pub call_link_auth_credentials: Vec<DailyCredential>,
    /// The pseudonym of the account's number, which the first are bound to.
    #[schema(value_type = String)]
    pub pni: Pni,
}

/// A credential for one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DailyCredential {
    /// The credential.
    #[schema(value_type = String)]
    pub credential: Base64<Vec<u8>, Padded>,
    /// The start of its day, in seconds since 1970.
    pub redemption_time: u64,
}

impl From<(Day, Vec<u8>)> for DailyCredential {
    fn from((day, credential): (Day, Vec<u8>)) -> Self {
        Self {
            credential: Base64::new(credential),
            redemption_time: day.seconds(),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(RedemptionParameters {
        redemption_start_seconds: start,
        redemption_end_seconds: end,
    }): Parameters<RedemptionParameters>,
) -> Result<Json<GroupCredentials>, Problem> {
    let issued = api
        .daily_credentials(caller.address.aci, start, end)
        .await?;
    Ok(Json(GroupCredentials {
        credentials: issued.group.into_iter().map(Into::into).collect(),
        call_link_auth_credentials: issued.call_link.into_iter().map(Into::into).collect(),
        pni: issued.pni,
    }))
}
