//! `PATCH /v1/verification/session/{id}`: hands in what a session asks for before it sends a code.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session |
//! | 400 | not in the form of a captcha, or one for something else |
//! | 403 | the captcha was not accepted, or the push challenge is wrong; the session is in the body |
//! | 404 | no such session |
//! | 422 | a push token without its type, or a type without a token |
//! | 503 | the captcha cannot be judged at the moment |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Executed;
use commands::verification::SessionView;
use commands::verification::submit_proof::{SubmitProof, SubmitProofRefused};
use events::verification::Proof;
use events::{Actor, SessionId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::create::{PushTokenType, check_pair};
use super::session::{SessionResponse, known, refusal};
use crate::http::extract::{Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::ports::{CaptchaToken, MalformedCaptcha};
use crate::state::Api;

/// The body. Carrier data is accepted and means nothing.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProveRequest {
    /// Where a challenge could be pushed to.
    pub push_token: Option<String>,
    /// Through which service.
    pub push_token_type: Option<PushTokenType>,
    /// The challenge that was pushed.
    pub push_challenge: Option<String>,
    /// A solved captcha.
    pub captcha: Option<String>,
}

/// What captchas for a verification session are solved for.
const ACTION: &str = "registration";

fn refused(id: SessionId) -> impl FnOnce(SubmitProofRefused) -> Problem {
    move |refused| match refused {
        SubmitProofRefused::SessionGone(_) => Problem::not_found(),
        SubmitProofRefused::NotAccepted(view) => refusal(StatusCode::FORBIDDEN, id, &view),
    }
}

async fn assess(api: &Api, captcha: &str) -> Result<bool, Problem> {
    let token: CaptchaToken = captcha
        .parse()
        .map_err(|malformed: MalformedCaptcha| Problem::bad_request(malformed.to_string()))?;
    if &*token.action != ACTION {
        return Err(Problem::bad_request(
            "the captcha was solved for something else",
        ));
    }
    api.captchas
        .assess(&token, api.clock.now())
        .await
        .map_err(|error| Problem::unavailable(&error))
}

/// The proof that is handed in, and whether it is good. A push challenge goes first; none has ever been issued.
async fn judged(api: &Api, request: &ProveRequest) -> Result<Option<(Proof, bool)>, Problem> {
    match (&request.push_challenge, &request.captcha) {
        (_, Some(captcha)) => Ok(Some((Proof::Captcha, assess(api, captcha).await?))),
        (Some(_), None) => Ok(Some((Proof::PushChallenge, false))),
        (None, None) => Ok(None),
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Segments((id,)): Segments<(SessionId,)>,
    Json(request): Json<ProveRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    check_pair(
        &mut violations,
        request.push_token.as_deref(),
        request.push_token_type,
    );
    violations.refuse()?;
    let submitted: Executed<SessionView> = match judged(&api, &request).await? {
        None => Executed {
            done: known(&api, id).await?.view,
            position: None,
        },
        Some((proof, accepted)) => {
            let command = SubmitProof {
                session: id,
                proof,
                accepted,
                policy: api.config.verification.clone(),
            };
            let submitted = api
                .executor
                .execute(&command, &asked.by(Actor::Anonymous))
                .await;
            submitted.map_err(|failure| Problem::from_failure(failure, refused(id)))?
        }
    };
    let position = api
        .settled(&submitted, &[Model::VerificationSessions])
        .await;
    Ok((position, Json(SessionResponse::new(id, &submitted.done))))
}
