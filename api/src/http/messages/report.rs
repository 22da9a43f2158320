//! `POST /v1/messages/report/{source}/{guid}`: somebody reports a message as spam.
//!
//! | status | when |
//! |---|---|
//! | 202 | noted; also if there is no such account |
//! | 401 | no or wrong credentials |
//! | 404 | neither an account's id nor a number; no message's id |
//! | 422 | the token is not base64 |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::message::report_message::ReportMessage;
use events::{Aci, MessageGuid};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Named, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::wire::{Base64, non_empty};
use crate::state::Api;

/// The body, if there is any.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = SpamReport)]
pub struct ReportRequest {
    /// What the message's envelope brought along for this. Envelopes of this server bring nothing, and nothing is made of it.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Base64<Vec<u8>>>,
}

/// The account that is said to have sent the message, if a number has one.
async fn account(api: &Api, source: Named<Aci>) -> Result<Option<Aci>, Problem> {
    let number = match source {
        Named::Identity(aci) => return Ok(Some(aci)),
        Named::Number(number) => number,
    };
    let pni = api.pnis.pni_of(&number);
    let account = api.queries.accounts().by_service_id(pni.into()).await;
    let account = account.map_err(|error| Problem::unavailable(&error))?;
    Ok(account.map(|account| account.aci))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Segments((source, guid)): Segments<(Named<Aci>, MessageGuid)>,
    _: Option<Json<ReportRequest>>,
) -> Result<impl IntoResponse, Problem> {
    let Some(source) = account(&api, source).await? else {
        return Ok(StatusCode::ACCEPTED.into_response());
    };
    let command = ReportMessage {
        mailbox: caller.address,
        guid,
        source,
    };
    let reported = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await
        .map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    let position = api.settled(&reported, &[]).await;
    Ok((StatusCode::ACCEPTED, position).into_response())
}
