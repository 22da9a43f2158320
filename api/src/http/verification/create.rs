//! `POST /v1/verification/session`: begins to verify a number.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session |
//! | 422 | the number is none; a push token without its type, or a type without a token |
//! | 429 | the number has asked for too many sessions; `Retry-After` |
//! | 499 | an obsolete form of a number (nothing in the body) |
//!
//! Where proofs are asked for, a device with a push token gets a challenge at once. Proofs in this body mean nothing.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::verification::start_session::{StartSession, StartSessionRefused};
use events::account::PushToken;
use events::verification::Proof;
use events::{Actor, E164, SessionId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::challenge;
use super::session::SessionResponse;
use crate::http::extract::Json;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::state::Api;

/// The body. Carrier data and proofs are accepted here and mean nothing.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = VerificationSessionRequest)]
pub struct CreateRequest {
    /// The number, in canonical international form.
    pub number: Option<String>,
    /// Where a challenge could be pushed to.
    pub push_token: Option<String>,
    /// Through which service.
    pub push_token_type: Option<PushTokenType>,
}

/// The two push services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PushTokenType {
    /// Apple.
    #[serde(alias = "APN")]
    Apn,
    /// Google.
    #[serde(alias = "FCM")]
    Fcm,
}

/// A push token and its type come together.
pub(super) fn pushed_to(
    violations: &mut Violations,
    token: Option<String>,
    kind: Option<PushTokenType>,
) -> Option<PushToken> {
    violations.check(
        token.is_some() == kind.is_some(),
        "pushTokenAndTypeTogether must be true",
    );
    let token = match kind? {
        PushTokenType::Apn => PushToken::Apn(token?.into()),
        PushTokenType::Fcm => PushToken::Fcm(token?.into()),
    };
    let well_formed = token.is_well_formed();
    violations.check(well_formed, "pushToken must not be empty");
    well_formed.then_some(token)
}

impl CreateRequest {
    fn parse(self) -> Result<(E164, Option<PushToken>), Problem> {
        let request = self;
        let mut violations = Violations::default();
        let token = pushed_to(&mut violations, request.push_token, request.push_token_type);
        let number = request.number.as_deref().map(str::trim).unwrap_or_default();
        violations.check(!number.is_empty(), "number must not be blank");
        let parsed = request
            .number
            .as_deref()
            .unwrap_or_default()
            .parse::<E164>();
        let number = violations.parsed(parsed, "number value is not a valid E164 number");
        violations.refuse()?;
        let current = number.filter(|number| !number.is_obsolete());
        Ok((current.ok_or_else(obsolete)?, token))
    }
}

/// 499: the client is too old to know the number's form.
fn obsolete() -> Problem {
    Problem::empty(StatusCode::from_u16(499).expect("a legal status"))
}

impl From<StartSessionRefused> for Problem {
    fn from(refused: StartSessionRefused) -> Self {
        match refused {
            StartSessionRefused::TooMany { retry_after } => {
                Self::empty(StatusCode::TOO_MANY_REQUESTS).retry_after(retry_after)
            }
        }
    }
}

/// What has to be shown before a code is sent, if anything has: any one of these.
fn required(captcha: bool, token: bool) -> Vec<Proof> {
    let push = token.then_some(Proof::PushChallenge);
    let proofs = push.into_iter().chain([Proof::Captcha]);
    proofs.filter(|_| captcha).collect()
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Json(request): Json<CreateRequest>,
) -> Result<impl IntoResponse, Problem> {
    let (number, token) = request.parse()?;
    let required = required(api.config.captcha_required, token.is_some());
    let push = token.filter(|_| required.contains(&Proof::PushChallenge));
    let push = push.map(|token| (token, challenge::mint(&api)));
    let command = StartSession {
        session: SessionId::from_random(api.entropy.bytes()),
        pni: api.pnis.pni_of(&number),
        number,
        required,
        push_challenge: push.as_ref().map(|(_, challenge)| challenge.clone()),
        policy: api.config.verification.clone(),
    };
    let context = asked.by(Actor::Anonymous);
    let models = [Model::VerificationSessions];
    let (view, position) = api.perform(&command, &context, &models).await?;
    if let Some((token, challenge)) = push {
        challenge::push(&api, token, challenge);
    }
    let response = SessionResponse::new(command.session, &view);
    Ok((position, Json(response)))
}
