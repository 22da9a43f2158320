//! `/v1/registration`, and what it has in common with linking a device and with changing attributes.

pub mod activation;
pub mod attributes;
pub(crate) mod proof;
pub mod register;
