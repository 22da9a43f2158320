//! `PATCH /v1/verification/session/{id}`: hands in what a session asks for before it sends a code.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session |
//! | 400 | not in the form of a captcha, or one for something else |
//! | 403 | the captcha was not accepted, or the push challenge is wrong; the session is in the body |
//! | 404 | no such session |
//! | 422 | a push token without its type, or a type without a token |
//! | 429 | too many answers to pushes, or captchas; the session is in the body |
//! | 503 | the captcha cannot be judged at the moment |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Command;
use commands::verification::SessionView;
use commands::verification::submit_proof::{
    Evidence, RequirePushChallenge, SubmitProof, SubmitProofRefused,
};
use events::account::PushToken;
use events::values::Redacted;
use events::{Actor, SessionId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::challenge;
use super::create::{PushTokenType, pushed_to};
use super::session::{SessionResponse, known, refusal};
use crate::http::extract::{Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::to_url_safe_padded;
use crate::limits::rates::Limit;
use crate::ports::{CaptchaToken, MalformedCaptcha};
use crate::state::{Api, EventPosition};

/// The body. Carrier data is accepted and means nothing.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = VerificationProof)]
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

/// The parts of a request, each done for itself: what was achieved stays, even if a later part fails.
struct Proving<'a> {
    api: &'a Api,
    asked: &'a Asked,
    session: SessionId,
}

impl Proving<'_> {
    /// Has a challenge pushed to the client's device: the one that was made first, if there is one.
    async fn push(&self, to: PushToken) -> Result<Step, Problem> {
        let command = RequirePushChallenge {
            session: self.session,
            fresh_challenge: challenge::mint(self.api),
            policy: self.api.config.verification.clone(),
        };
        let (required, position) = self.run(&command).await?;
        if let Some(challenge) = required.challenge {
            challenge::push(self.api, to, challenge);
        }
        Ok((required.view, position))
    }

    /// Counts an attempt. The refusal of one too many shows the session.
    async fn count(&self, limit: Limit, view: &SessionView) -> Result<(), Problem> {
        let key = to_url_safe_padded(self.session.as_bytes());
        let taken = self.api.limits.take(limit, &key).await;
        taken.map_err(|limited| match limited.retry_after() {
            Some(wait) => {
                let shown = refusal(StatusCode::TOO_MANY_REQUESTS, self.session, view);
                shown.retry_after(wait)
            }
            None => limited.into(),
        })
    }

    async fn submit(&self, evidence: Evidence) -> Result<Step, Problem> {
        self.run(&SubmitProof {
            session: self.session,
            evidence,
            policy: self.api.config.verification.clone(),
        })
        .await
    }

    async fn run<C: Command<Refused = SubmitProofRefused>>(
        &self,
        command: &C,
    ) -> Result<(C::Done, EventPosition), Problem> {
        let context = self.asked.by(Actor::Anonymous);
        let models = [Model::VerificationSessions];
        let done = self.api.perform(command, &context, &models).await;
        done.map_err(|failure| Problem::from_failure(failure, refused(self.session)))
    }
}

/// The session after a part of the request, and the last event of that part.
type Step = (SessionView, EventPosition);

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Segments((id,)): Segments<(SessionId,)>,
    Json(request): Json<ProveRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let token = pushed_to(&mut violations, request.push_token, request.push_token_type);
    violations.refuse()?;
    let proving = Proving {
        api: &api,
        asked: &asked,
        session: id,
    };
    let mut step = (known(&api, id).await?.view, EventPosition(None));
    if let Some(token) = token {
        step = proving.push(token).await?;
    }
    // Once nothing is missing any more, what comes back from a push is not looked at.
    let missing = !step.0.requested_information.is_empty();
    if let Some(challenge) = request.push_challenge.filter(|_| missing) {
        let limit = Limit::VerificationPushChallenge;
        proving.count(limit, &step.0).await?;
        let evidence = Evidence::PushChallenge(Redacted(challenge.into()));
        step = proving.submit(evidence).await?;
    }
    if let Some(captcha) = request.captcha {
        let limit = Limit::VerificationCaptcha;
        proving.count(limit, &step.0).await?;
        let accepted = assess(&api, &captcha).await?;
        step = proving.submit(Evidence::Captcha { accepted }).await?;
    }
    let (view, position) = step;
    Ok((position, Json(SessionResponse::new(id, &view))))
}
