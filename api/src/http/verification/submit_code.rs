//! `PUT /v1/verification/session/{id}/code`: checks a code. A wrong one is a success, too: look at `verified`.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session, verified or not |
//! | 404 | no such session |
//! | 409 | verified already, no code was sent, or it was tried too often; the session is in the body |
//! | 422 | no code in the body |
//! | 429 | too soon after the last attempt; the session is in the body |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::verification::submit_code::{SubmitCode, SubmitCodeRefused};
use events::values::Redacted;
use events::{Actor, SessionId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::session::{SessionResponse, refusal};
use crate::http::extract::{Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;

/// The body.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationCode)]
pub struct SubmitCodeRequest {
    /// The code as somebody typed it.
    #[schema(value_type = Option<String>)]
    pub code: Option<Box<str>>,
}

fn refused(id: SessionId) -> impl FnOnce(SubmitCodeRefused) -> Problem {
    move |refused| match refused {
        SubmitCodeRefused::SessionGone(_) => Problem::not_found(),
        SubmitCodeRefused::AlreadyVerified(view) | SubmitCodeRefused::NoCode(view) => {
            refusal(StatusCode::CONFLICT, id, &view)
        }
        SubmitCodeRefused::TooSoon { view, retry_after } => {
            refusal(StatusCode::TOO_MANY_REQUESTS, id, &view).retry_after(retry_after)
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Segments((id,)): Segments<(SessionId,)>,
    Json(request): Json<SubmitCodeRequest>,
) -> Result<impl IntoResponse, Problem> {
    let code = request.code.filter(|code| !code.trim().is_empty());
    let code = Redacted(code.ok_or_else(|| Problem::invalid(["code must not be blank"]))?);
    let command = SubmitCode {
        session: id,
        code,
        policy: api.config.verification.clone(),
    };
    let submitted = api
        .executor
        .execute(&command, &asked.by(Actor::Anonymous))
        .await;
    let submitted = submitted.map_err(|failure| Problem::from_failure(failure, refused(id)))?;
    let position = api
        .settled(&submitted, &[Model::VerificationSessions])
        .await;
    Ok((position, Json(SessionResponse::new(id, &submitted.done))))
}
