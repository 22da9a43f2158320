//! Who sends a message, and by what right: settled once, from the headers and the query.

use commands::message::send_message::Sender;

use crate::http::extract::{AccessKeyHeader, Authenticated};
use crate::http::problem::Problem;

/// The whole policy. A group-send token comes alone; a story needs nothing; who says who they are needs nothing else; all
/// others need the recipient's key. Group-send tokens are not accepted so far, which to their senders looks like a
/// token that has expired.
pub(super) fn settle(
    authenticated: Option<&Authenticated>,
    access: AccessKeyHeader,
    story: bool,
) -> Result<Sender, Problem> {
    match (
        authenticated,
        access.has_key(),
        access.has_group_token(),
        story,
    ) {
        (None, false, true, false) => Err(Problem::unauthorized()),
        (_, _, true, _) => Err(Problem::bad_request("a group-send token comes alone")),
        (_, _, false, true) => Ok(Sender::Story),
        (Some(caller), _, false, false) => Ok(Sender::Identified(
            caller.address.aci,
            caller.address.device,
        )),
        (None, _, false, false) => access.required().map(Sender::Sealed),
    }
}
