//! `/v1/messages`.

pub mod delete;
pub mod list;
pub mod send;
pub mod sender;
