//! `PUT /v1/challenge`: a device answers a challenge.
//!
//! | status | when |
//! |---|---|
//! | 200 | taken; a wrong answer to a push has no effect, and nobody is told |
//! | 400 | not in the form of a captcha |
//! | 401 | no or wrong credentials |
//! | 422 | neither kind of answer, or an empty one |
//! | 428 | the captcha is not accepted |
//! | 503 | the captcha cannot be judged at the moment |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::meet_challenge::MeetChallenge;
use events::account::ChallengeAnswer;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::ports::{CaptchaToken, ChallengesUnavailable};
use crate::state::Api;

/// The body.
#[derive(Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum AnswerRequest {
    /// What came by push: 32 hex digits.
    RateLimitPushChallenge {
        /// The digits.
        #[serde(default)]
        challenge: Option<String>,
    },
    /// A solved captcha.
    Captcha {
        /// The token of the answer that demanded it.
        #[serde(default)]
        token: Option<String>,
        /// The solution.
        #[serde(default)]
        captcha: Option<String>,
    },
}

fn is_blank(text: Option<&String>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

impl AnswerRequest {
    fn check(&self) -> Result<(), Problem> {
        let mut violations = Violations::default();
        match self {
            Self::RateLimitPushChallenge { challenge } => {
                violations.check(!is_blank(challenge.as_ref()), "challenge must not be blank");
            }
            Self::Captcha { token, captcha } => {
                violations.check(!is_blank(token.as_ref()), "token must not be blank");
                violations.check(!is_blank(captcha.as_ref()), "captcha must not be blank");
            }
        }
        violations.refuse()
    }
}

impl Api {
    /// Whether the text is the challenge that was pushed to the account, which it then is for the last time.
    pub(crate) async fn is_pushed_challenge(
        &self,
        caller: &Authenticated,
        text: &str,
    ) -> Result<bool, ChallengesUnavailable> {
        let mut challenge = [0; 16];
        if hex::decode_to_slice(text.trim(), &mut challenge).is_err() {
            return Ok(false);
        }
        let now = self.clock.now();
        self.challenges
            .take(caller.address.aci, challenge, now)
            .await
    }
}

/// What the captcha that was asked for here says it was solved for.
const ACTION: &str = "challenge";

/// Whether a captcha is solved, and for this.
pub(crate) async fn is_solved(api: &Api, captcha: &str) -> Result<bool, Problem> {
    let captcha: CaptchaToken = captcha
        .parse()
        .map_err(|_| Problem::bad_request("not in the form of a captcha"))?;
    if &*captcha.action != ACTION {
        return Ok(false);
    }
    let assessed = api.captchas.assess(&captcha, api.clock.now()).await;
    assessed.map_err(|error| Problem::unavailable(&error))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<AnswerRequest>,
) -> Result<impl IntoResponse, Problem> {
    request.check()?;
    let answer = match request {
        AnswerRequest::RateLimitPushChallenge { challenge } => {
            let taken = api
                .is_pushed_challenge(&caller, &challenge.unwrap_or_default())
                .await;
            if !taken.map_err(|error| Problem::unavailable(&error))? {
                return Ok(StatusCode::OK.into_response());
            }
            ChallengeAnswer::Push
        }
        AnswerRequest::Captcha { captcha, .. } => {
            if !is_solved(&api, &captcha.unwrap_or_default()).await? {
                return Err(Problem::empty(StatusCode::PRECONDITION_REQUIRED));
            }
            ChallengeAnswer::Captcha
        }
    };
    let command = MeetChallenge {
        aci: caller.address.aci,
        device: caller.address.device,
        answer,
    };
    let met = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await
        .map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    api.spam.answered(caller.address.aci);
    let position = api.settled(&met, &[] as &[Model]).await;
    Ok((StatusCode::OK, position).into_response())
}
