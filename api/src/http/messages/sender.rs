//! Who sends a message, and by what right: settled once, from the headers and the query.

use commands::account::Caller;
use commands::message::send_message::Sender;
use events::ServiceId;

use crate::http::extract::access::TokenBesideCredentials;
use crate::http::extract::{AccessKeyHeader, Authenticated};
use crate::http::problem::Problem;
use crate::state::Api;

/// The whole policy. A story needs nothing, and takes no group-send token; who says who they are needs nothing else; all
/// others need the recipient's key or a token for it.
pub(super) async fn settle(
    api: &Api,
    authenticated: Option<&Authenticated>,
    access: AccessKeyHeader,
    story: bool,
    destination: ServiceId,
) -> Result<Sender, Problem> {
    if story && access.has_group_token() {
        return Err(Problem::bad_request("a story takes no group-send token"));
    }
    if story {
        return Ok(Sender::Story);
    }
    let beside = TokenBesideCredentials::Refused;
    let caller = access
        .caller(api, authenticated, destination, beside)
        .await?;
    Ok(match caller {
        Caller::Device(aci, device) => Sender::Identified(aci, device),
        Caller::AccessKey(key) => Sender::Sealed(key),
        Caller::GroupMember => Sender::GroupMember,
    })
}
