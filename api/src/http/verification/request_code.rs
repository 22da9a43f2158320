//! `POST /v1/verification/session/{id}/code`: sends a code to the number.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session: the code is on its way |
//! | 404 | no such session |
//! | 409 | verified already, or a proof is missing; the session is in the body |
//! | 418 | this transport does not lead to this number; the session is in the body |
//! | 429 | too soon or too often; the session is in the body, `Retry-After` if trying again can help |
//! | 440 | the provider refused; `{"reason", "permanentFailure"}` |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Failure;
use commands::ports::DeliveryFailed;
use commands::verification::SessionView;
use commands::verification::report_undelivered::{ReportUndelivered, ReportUndeliveredRefused};
use commands::verification::request_code::{RequestCode, RequestCodeRefused};
use crypto::token_hash;
use events::verification::Transport;
use events::{Actor, SessionId};
use http::{HeaderMap, StatusCode};
use projections::Model;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::session::{SessionResponse, known, refusal, transport_unavailable};
use crate::http::extract::{Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VerificationCodeRequest)]
pub struct RequestCodeRequest {
    /// On which way.
    pub transport: Option<TransportName>,
    /// The kind of client, which decides the wording of messages where there is a choice.
    #[serde(default)]
    pub client: Option<String>,
}

/// How a code travels. Any case will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportName {
    /// As a text message.
    #[serde(alias = "SMS", alias = "Sms")]
    Sms,
    /// In a call.
    #[serde(alias = "VOICE", alias = "Voice")]
    Voice,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Sms => Self::Sms,
            TransportName::Voice => Self::Voice,
        }
    }
}

fn refused(id: SessionId) -> impl FnOnce(RequestCodeRefused) -> Problem {
    move |refused| match refused {
        RequestCodeRefused::SessionGone(_) => Problem::not_found(),
        RequestCodeRefused::AlreadyVerified(view) | RequestCodeRefused::ProofRequired(view) => {
            refusal(StatusCode::CONFLICT, id, &view)
        }
        RequestCodeRefused::TransportUnavailable(view) => {
            refusal(transport_unavailable(), id, &view)
        }
        RequestCodeRefused::TooSoon { view, retry_after } => {
            let problem = refusal(StatusCode::TOO_MANY_REQUESTS, id, &view);
            match retry_after {
                Some(wait) => problem.retry_after(wait),
                None => problem,
            }
        }
    }
}

fn undelivered(id: SessionId, failed: DeliveryFailed, view: &SessionView) -> Problem {
    match failed {
        DeliveryFailed::TransportNotAllowed => refusal(transport_unavailable(), id, view),
        DeliveryFailed::Provider { reason, permanent } => {
            let status = StatusCode::from_u16(440).expect("a legal status");
            Problem::with(
                status,
                &json!({ "reason": reason.name(), "permanentFailure": permanent }),
            )
        }
    }
}

/// Records that the code did not go out, and answers why.
async fn report(
    api: &Api,
    asked: &Asked,
    command: &RequestCode,
    failed: DeliveryFailed,
) -> Problem {
    let RequestCode {
        session,
        transport,
        code,
        policy,
    } = command.clone();
    let permanent = failed == DeliveryFailed::TransportNotAllowed;
    let report = ReportUndelivered {
        session,
        transport,
        code,
        permanent,
        policy,
    };
    match api
        .executor
        .execute(&report, &asked.by(Actor::Anonymous))
        .await
    {
        Ok(reported) => {
            api.settled(&reported, &[Model::VerificationSessions]).await;
            undelivered(session, failed, &reported.done)
        }
        Err(Failure::Refused(ReportUndeliveredRefused::SessionGone(_))) => Problem::not_found(),
        Err(failure) => {
            Problem::from_failure(failure, |ReportUndeliveredRefused::SessionGone(_)| {
                Problem::not_found()
            })
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Segments((id,)): Segments<(SessionId,)>,
    headers: HeaderMap,
    Json(request): Json<RequestCodeRequest>,
) -> Result<impl IntoResponse, Problem> {
    let transport = request
        .transport
        .ok_or_else(|| Problem::invalid(["transport must not be null"]))?
        .into();
    let code = api.codes.mint(&known(&api, id).await?.number);
    let command = RequestCode {
        session: id,
        transport,
        code: token_hash::hash(&code.0, api.entropy.bytes()),
        policy: api.config.verification.clone(),
    };
    let to_send = api
        .executor
        .execute(&command, &asked.by(Actor::Anonymous))
        .await;
    let to_send = to_send.map_err(|failure| Problem::from_failure(failure, refused(id)))?;
    let language = headers
        .get("accept-language")
        .and_then(|value| value.to_str().ok());
    if let Err(failed) = api
        .verification
        .deliver(&to_send.done.number, &code.0, transport, language)
        .await
    {
        return Err(report(&api, &asked, &command, failed).await);
    }
    let position = api.settled(&to_send, &[Model::VerificationSessions]).await;
    Ok((position, Json(SessionResponse::new(id, &to_send.done.view))))
}
