//! The WebSocket: requests in both directions over one connection, and the delivery of messages.

mod delivery;
mod desk;
mod ending;
pub mod frame;
pub mod hub;
mod inbox;
pub(crate) mod mailbox;
mod reader;
mod requests;
mod session;
pub(crate) mod upgrade;
