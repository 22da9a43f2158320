//! `GET /v1/archives/auth?redemptionStartSeconds=&redemptionEndSeconds=`: credentials of the account's backups, one for each
//! day. 401; 400 for days that are not given out; 404 while the account has not said by which requests.

use axum::extract::State;
use crypto::zk::backup::{Kind, Level, Request, issue};
use crypto::zk::{Day, redemption_days};
use events::values::backup::BackupRequest;
use serde::{Deserialize, Serialize};

use crate::http::certificate::group::{DailyCredential, RedemptionParameters};
use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::problem::Problem;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BackupCredentials)]
pub struct CredentialsResponse {
    /// By backup.
    pub credentials: BothCredentials,
}

/// Credentials of both backups. None for one that there is no request for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BothCredentials {
    /// Of messages.
    pub messages: Vec<DailyCredential>,
    /// Of media.
    pub media: Vec<DailyCredential>,
}

/// A stored request. It could be read when it came.
fn stored(request: Option<BackupRequest>) -> Result<Option<Request>, Problem> {
    let request = request.map(|request| Request::parse(request.as_ref()));
    request
        .transpose()
        .map_err(|malformed| Problem::unavailable(&malformed))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(RedemptionParameters {
        redemption_start_seconds: start,
        redemption_end_seconds: end,
    }): Parameters<RedemptionParameters>,
) -> Result<Json<CredentialsResponse>, Problem> {
    let days = redemption_days(start, end, api.clock.now());
    let days = days.map_err(|range| Problem::bad_request(range.to_string()))?;
    let days: Vec<Day> = days.collect();
    let account = api.queries.accounts().by_aci(caller.address.aci).await;
    let account = account.map_err(|error| Problem::unavailable(&error))?;
    let backup = account.ok_or_else(Problem::credentials_required)?.backup;
    let (messages, media) = (stored(backup.messages)?, stored(backup.media)?);
    if messages.is_none() && media.is_none() {
        return Err(Problem::not_found());
    }
    let credentials = api.issue(move |keys, rng| {
        let mut of = |request: Option<Request>, kind| {
            let mut issued = |day: &Day, request: &Request| {
                let credential = issue(&keys.chat, request, *day, Level::Free, kind, rng);
                DailyCredential::from((*day, credential))
            };
            let days = request
                .iter()
                .flat_map(|request| days.iter().map(move |day| (day, request)));
            days.map(|(day, request)| issued(day, request)).collect()
        };
        BothCredentials {
            messages: of(messages, Kind::Messages),
            media: of(media, Kind::Media),
        }
    });
    Ok(Json(CredentialsResponse {
        credentials: credentials.await?,
    }))
}
