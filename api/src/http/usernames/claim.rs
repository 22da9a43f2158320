//! `PUT /v1/accounts/username_hash/{hash}`: the account takes a username, in the contract of the OpenAPI document. It need
//! not have reserved it, and two statuses mean other things than at `…/confirm`.
//!
//! | status | when |
//! |---|---|
//! | 200 | the username is the account's |
//! | 401 | no or wrong credentials |
//! | 409 | somebody else has it |
//! | 410 | the account had reserved it, for a time that is over |
//! | 422 | rules broken; the hash in the body is another one; the proof does not show that the name is known |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::username::confirm_username::{ConfirmUsernameRefused, Reservation};
use events::values::username::UsernameHash;
use http::StatusCode;
use projections::Model;

use super::confirm::{ConfirmRequest, ConfirmResponse};
use crate::http::extract::{Authenticated, Json, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::limits::rates::Limit;
use crate::state::Api;

fn refused(refused: ConfirmUsernameRefused) -> Problem {
    match refused {
        ConfirmUsernameRefused::NoSuchAccount => Problem::credentials_required(),
        ConfirmUsernameRefused::Taken => Problem::of(StatusCode::CONFLICT),
        ConfirmUsernameRefused::NotReserved | ConfirmUsernameRefused::ReservationOver => {
            Problem::of(StatusCode::GONE)
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Segments((hash,)): Segments<(UsernameHash,)>,
    Json(request): Json<ConfirmRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let same = request.username_hash.as_ref().is_none_or(|it| it.0 == hash);
    violations.check(same, "usernameHash must be the one in the path");
    violations.refuse()?;
    let command = request.command(&api, &caller, Reservation::Optional)?;
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::UsernameSet, &account).await?;
    let context = asked.by(caller.actor());
    let confirmed = api.perform(&command, &context, &[Model::Accounts]).await;
    let (confirmed, position) =
        confirmed.map_err(|failure| Problem::from_failure(failure, refused))?;
    Ok((position, Json(ConfirmResponse::from(confirmed))))
}
