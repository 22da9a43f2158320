//! `PUT /v1/challenge`: a device answers a challenge.
//!
//! | status | when |
//! |---|---|
//! | 200 | taken; a wrong answer to a push has no effect, and nobody is told |
//! | 400 | not in the form of a captcha |
//! | 401 | no or wrong credentials |
//! | 422 | neither kind of answer, or an empty one |
//! | 428 | the captcha is not accepted |
//! | 429 | too many attempts, or too many that were right |
//! | 503 | the captcha cannot be judged at the moment |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::meet_challenge::MeetChallenge;
use events::Aci;
use events::account::ChallengeAnswer;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::limits::rates::Limit;
use crate::ports::CaptchaToken;
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
    /// Judges an answer. Attempts count, and so do those that were right, each kind for itself.
    pub(crate) async fn judge(
        &self,
        aci: Aci,
        kind: ChallengeAnswer,
        text: &str,
    ) -> Result<bool, Problem> {
        let account = aci.to_string();
        let (attempt, success) = match kind {
            ChallengeAnswer::Push => (Limit::PushChallengeAttempt, Limit::PushChallengeSuccess),
            ChallengeAnswer::Captcha => (
                Limit::CaptchaChallengeAttempt,
                Limit::CaptchaChallengeSuccess,
            ),
        };
        self.limits.take(attempt, &account).await?;
        let right = match kind {
            ChallengeAnswer::Push => self.is_pushed(aci, text).await?,
            ChallengeAnswer::Captcha => self.is_solved(text).await?,
        };
        if right {
            self.limits.take(success, &account).await?;
            self.limits.take(Limit::RateLimitReset, &account).await?;
        }
        Ok(right)
    }

    /// Whether the text is the challenge that was pushed to the account, which it then is for the last time.
    async fn is_pushed(&self, aci: Aci, text: &str) -> Result<bool, Problem> {
        let mut challenge = [0; 16];
        if hex::decode_to_slice(text.trim(), &mut challenge).is_err() {
            return Ok(false);
        }
        let taken = self.challenges.take(aci, challenge, self.clock.now()).await;
        taken.map_err(|error| Problem::unavailable(&error))
    }

    /// Whether a captcha is solved, and for this.
    async fn is_solved(&self, captcha: &str) -> Result<bool, Problem> {
        let captcha: CaptchaToken = captcha
            .parse()
            .map_err(|_| Problem::bad_request("not in the form of a captcha"))?;
        if &*captcha.action != ACTION {
            return Ok(false);
        }
        let assessed = self.captchas.assess(&captcha, self.clock.now()).await;
        assessed.map_err(|error| Problem::unavailable(&error))
    }
}

/// What the captcha that was asked for here says it was solved for.
const ACTION: &str = "challenge";

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<AnswerRequest>,
) -> Result<impl IntoResponse, Problem> {
    request.check()?;
    let (answer, text) = match request {
        AnswerRequest::RateLimitPushChallenge { challenge } => (ChallengeAnswer::Push, challenge),
        AnswerRequest::Captcha { captcha, .. } => (ChallengeAnswer::Captcha, captcha),
    };
    let aci = caller.address.aci;
    if !api.judge(aci, answer, &text.unwrap_or_default()).await? {
        return match answer {
            ChallengeAnswer::Push => Ok(StatusCode::OK.into_response()),
            ChallengeAnswer::Captcha => Err(Problem::empty(StatusCode::PRECONDITION_REQUIRED)),
        };
    }
    let command = MeetChallenge {
        aci,
        device: caller.address.device,
        answer,
    };
    let met = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await
        .map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    api.spam.answered(aci);
    let position = api.settled(&met, &[] as &[Model]).await;
    Ok((StatusCode::OK, position).into_response())
}
