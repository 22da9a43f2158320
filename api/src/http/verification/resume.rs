//! `GET /v1/verification/session/{id}`: the session as it stands. 404 if there is none (any more).
//!
//! Whoever learns here that a number is verified has voided the recovery password of its account, as the right code does.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::verification::drop_recovery_password::DropRecoveryPassword;
use events::{Actor, SessionId};

use super::session::{SessionResponse, known};
use crate::http::extract::{Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::{Api, EventPosition};

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Segments((id,)): Segments<(SessionId,)>,
) -> Result<impl IntoResponse, Problem> {
    let session = known(&api, id).await?;
    let mut position = EventPosition(None);
    if session.view.verified {
        let command = DropRecoveryPassword {
            pni: api.pnis.pni_of(&session.number),
        };
        let context = asked.by(Actor::Anonymous);
        ((), position) = api.perform(&command, &context, &[]).await?;
    }
    Ok((position, Json(SessionResponse::new(id, &session.view))))
}
