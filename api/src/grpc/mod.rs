//! gRPC: one file a service. Each call is parsed into the command or query that its REST twin is parsed into; what a
//! client can act on is a member of the response, everything else a status with details (`status`).
//!
//! The messages are described in `proto/`, with the rules for their fields; the build makes both out of it.

mod access;
mod accounts;
mod accounts_anonymous;
mod attachments;
mod avatars;
mod call;
mod challenge;
mod change_number;
mod check;
mod codec;
mod credentials;
mod credentials_anonymous;
mod devices;
mod ids;
mod keys;
mod keys_anonymous;
mod layers;
mod many;
mod messages;
mod messages_anonymous;
mod pictures;
mod pre_keys;
mod product_configuration;
mod profile;
mod profile_anonymous;
mod profiles;
mod protection;
pub mod proto;
mod remote_configuration;
mod router;
mod sending;
mod status;
mod stream;
mod totp;
mod usernames;

pub use router::NOT_OFFERED;
pub(crate) use router::{is_call, router};
pub use status::DOCUMENTED;

use crate::state::Api;

/// What all services are made of.
#[derive(Clone)]
pub(crate) struct Door(Api);
