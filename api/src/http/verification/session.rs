//! The session as its client sees it: the answer to every success here, and to most refusals.

use commands::verification::view::{Checks, Sends};
use commands::verification::{SessionFacts, SessionView};
use events::verification::Proof;
use events::{E164, SessionId};
use http::StatusCode;
use projections::Model;
use projections::verification_sessions::{self, VerificationSession};
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::http::wire::to_url_safe_padded;
use crate::limits;
use crate::state::Api;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VerificationSession)]
pub struct SessionResponse {
    /// 16 bytes in padded URL-safe base64.
    pub id: String,
    /// Seconds until a text message may be asked for; `null` is never.
    pub next_sms: Option<u64>,
    /// Seconds until a call may be asked for; `null` is never.
    pub next_call: Option<u64>,
    /// Seconds until a code may be submitted; `null` if none is outstanding.
    pub next_verification_attempt: Option<u64>,
    /// Whether all proofs are there.
    pub allowed_to_request_code: bool,
    /// The proofs that are not; any one of them is enough.
    #[schema(value_type = Vec<String>)]
    pub requested_information: Vec<Proof>,
    /// Whether the number is verified.
    pub verified: bool,
}

impl SessionResponse {
    pub(crate) fn new(id: SessionId, view: &SessionView) -> Self {
        Self {
            id: to_url_safe_padded(id.as_bytes()),
            next_sms: view.next_sms,
            next_call: view.next_call,
            next_verification_attempt: view.next_verification_attempt,
            allowed_to_request_code: view.allowed_to_request_code,
            requested_information: view.requested_information.clone(),
            verified: view.verified,
        }
    }
}

/// A refusal that shows the session.
pub(crate) fn refusal(status: StatusCode, id: SessionId, view: &SessionView) -> Problem {
    Problem::with(status, &SessionResponse::new(id, view))
}

/// 418: a code cannot travel on this transport to this number.
pub(crate) fn transport_unavailable() -> StatusCode {
    StatusCode::IM_A_TEAPOT
}

/// A session that lives, and its number.
pub(crate) struct Known {
    pub(crate) number: E164,
    pub(crate) view: SessionView,
}

/// The session, or 404. Its creator may ask for it before this node's read model has heard of it.
pub(crate) async fn known(api: &Api, id: SessionId) -> Result<Known, Problem> {
    let unavailable = |error| Problem::unavailable(&error);
    let sessions = api.queries.verification_sessions();
    let mut session = sessions.by_id(id).await.map_err(unavailable)?;
    if session.is_none() {
        let head = api.queries.head().await.map_err(unavailable)?;
        api.queries
            .caught_up(&[Model::VerificationSessions], head, limits::CATCH_UP)
            .await;
        session = sessions.by_id(id).await.map_err(unavailable)?;
    }
    let session = session.ok_or_else(Problem::not_found)?;
    let facts = facts(&session);
    let at = api.clock.now();
    if facts.has_expired(&api.config.verification, at) {
        return Err(Problem::not_found());
    }
    let view = SessionView::of(&facts, &api.config.verification, at);
    let number = session.number.ok_or_else(Problem::not_found)?;
    Ok(Known { number, view })
}

/// The facts that the read model holds, in the form that the rules take. The model knows no rules, the rules no model.
fn facts(session: &VerificationSession) -> SessionFacts {
    let sends = |sends: verification_sessions::Sends| {
        let verification_sessions::Sends {
            count,
            first,
            last,
            closed,
        } = sends;
        Sends {
            count,
            first,
            last,
            closed,
        }
    };
    let checks = |verification_sessions::Checks { count, last }| Checks { count, last };
    SessionFacts {
        required: session.required.clone(),
        sms: sends(session.sms),
        voice: sends(session.voice),
        checks: session.checks.map(checks),
        verified: session.verified,
        last_action: session.last_action_at,
    }
}
