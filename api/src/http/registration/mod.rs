//! `/v1/registration`, and what it has in common with linking and with changing attributes.

pub mod attributes;
pub mod channel;
pub mod register;
