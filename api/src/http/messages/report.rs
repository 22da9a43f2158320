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
use events::{Aci, E164, MessageGuid};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Segment, Segments};
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

/// Who is said to have sent the message: an account, or the one that has a number.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Account(Aci),
    Number(E164),
}

impl Segment for Source {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.starts_with('+') {
            text.parse()
                .map(Self::Number)
                .map_err(|_| Problem::not_found())
        } else {
            Aci::parse(text).map(Self::Account)
        }
    }
}

/// The account, if a number has one.
async fn account(api: &Api, source: Source) -> Result<Option<Aci>, Problem> {
    let number = match source {
        Source::Account(aci) => return Ok(Some(aci)),
        Source::Number(number) => number,
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
    Segments((source, guid)): Segments<(Source, MessageGuid)>,
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
