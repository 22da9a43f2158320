//! `POST /v1/verification/session`: begins to verify a number.
//!
//! | status | when |
//! |---|---|
//! | 200 | the session |
//! | 422 | the number is none; a push token without its type, or a type without a token |
//! | 499 | an obsolete form of a number (nothing in the body) |
//!
//! No push challenges are sent so far, so a push token asks for nothing more than a captcha does.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::verification::start_session::StartSession;
use events::verification::Proof;
use events::{Actor, E164, SessionId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::session::SessionResponse;
use crate::http::extract::Json;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::state::Api;

/// The body. Carrier data and proofs are accepted here and mean nothing.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateRequest {
    /// The number, in canonical international form.
    pub number: Option<String>,
    /// Where a challenge could be pushed to.
    pub push_token: Option<String>,
    /// Through which service.
    pub push_token_type: Option<PushTokenType>,
}

/// The two push services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub(super) fn check_pair(
    violations: &mut Violations,
    token: Option<&str>,
    kind: Option<PushTokenType>,
) {
    violations.check(
        token.is_some() == kind.is_some(),
        "pushTokenAndTypeTogether must be true",
    );
}

impl TryFrom<CreateRequest> for E164 {
    type Error = Problem;

    fn try_from(request: CreateRequest) -> Result<Self, Problem> {
        let mut violations = Violations::default();
        check_pair(
            &mut violations,
            request.push_token.as_deref(),
            request.push_token_type,
        );
        let number = request.number.as_deref().map(str::trim).unwrap_or_default();
        violations.check(!number.is_empty(), "number must not be blank");
        let parsed = request
            .number
            .as_deref()
            .unwrap_or_default()
            .parse::<Self>();
        let number = violations.parsed(parsed, "number value is not a valid E164 number");
        violations.refuse()?;
        number
            .filter(|number| !number.is_obsolete())
            .ok_or_else(obsolete)
    }
}

/// 499: the client is too old to know the number's form.
fn obsolete() -> Problem {
    Problem::empty(StatusCode::from_u16(499).expect("a legal status"))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Json(request): Json<CreateRequest>,
) -> Result<impl IntoResponse, Problem> {
    let number = E164::try_from(request)?;
    let command = StartSession {
        session: SessionId::from_random(api.entropy.bytes()),
        pni: api.pnis.pni_of(&number),
        number,
        required: if api.config.captcha_required {
            vec![Proof::Captcha]
        } else {
            Vec::new()
        },
        policy: api.config.verification.clone(),
    };
    let started = api
        .executor
        .execute(&command, &asked.by(Actor::Anonymous))
        .await;
    let started =
        started.map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    let position = api.settled(&started, &[Model::VerificationSessions]).await;
    Ok((
        position,
        Json(SessionResponse::new(command.session, &started.done)),
    ))
}
