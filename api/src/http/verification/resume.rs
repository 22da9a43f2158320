//! `GET /v1/verification/session/{id}`: the session as it stands. 404 if there is none (any more).

use axum::extract::State;
use events::SessionId;

use super::session::{SessionResponse, known};
use crate::http::extract::{Json, Segments};
use crate::http::problem::Problem;
use crate::state::Api;

pub(crate) async fn handler(
    State(api): State<Api>,
    Segments((id,)): Segments<(SessionId,)>,
) -> Result<Json<SessionResponse>, Problem> {
    let session = known(&api, id).await?;
    Ok(Json(SessionResponse::new(id, &session.view)))
}
