//! `/v1/messages`.

pub mod delete;
pub mod list;
pub mod multi_recipient;
pub mod report;
pub mod send;
pub mod sender;
