//! `DELETE /v1/messages/uuid/{guid}`: the calling device has this message. 204, whether it was there or not.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Executed;
use commands::message::acknowledge::Acknowledge;
use events::MessageGuid;
use http::StatusCode;
use projections::Model;

use crate::http::extract::{Authenticated, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;
use crate::ws::mailbox::delivered;

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Segments((guid,)): Segments<(MessageGuid,)>,
) -> Result<impl IntoResponse, Problem> {
    let entry = api.queries.inbox().by_guid(caller.address, guid).await;
    let entry = entry.map_err(|error| Problem::unavailable(&error))?;
    let acknowledged = match entry {
        None => Executed {
            done: (),
            position: None,
        },
        Some(entry) => {
            let command = Acknowledge {
                mailbox: caller.address,
                messages: vec![delivered(&entry)],
            };
            let acknowledged = api
                .executor
                .execute(&command, &asked.by(caller.actor()))
                .await;
            acknowledged
                .map_err(|failure| Problem::from_failure(failure, |never| match never {}))?
        }
    };
    let position = api.settled(&acknowledged, &[Model::Inbox]).await;
    Ok((StatusCode::NO_CONTENT, position))
}
