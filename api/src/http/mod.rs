//! REST: one file an endpoint, with its wire types, its statuses and its handler.

pub mod accounts;
pub mod attachments;
pub mod calling;
pub mod certificate;
pub mod challenge;
pub mod config;
pub mod devices;
pub mod external;
pub mod extract;
pub mod idempotency;
pub mod keepalive;
pub mod keys;
pub mod layers;
pub mod long_poll;
pub mod messages;
pub mod problem;
pub mod profile;
pub mod provisioning;
pub mod registration;
pub mod router;
pub mod stickers;
pub mod usernames;
pub mod verification;
pub mod version;
pub mod violations;
pub mod wire;
