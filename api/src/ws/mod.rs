//! The WebSocket: requests in both directions over one connection, and the delivery of messages.

mod arrivals;
mod delivery;
pub(crate) mod desk;
pub(crate) mod ending;
pub(crate) mod ephemeral;
pub mod frame;
pub mod hub;
pub(crate) mod inbox;
pub(crate) mod mailbox;
pub(crate) mod post;
pub(crate) mod provisioning;
mod reader;
mod requests;
pub(crate) mod session;
pub(crate) mod upgrade;
pub(crate) mod watch;
pub(crate) mod wire;
