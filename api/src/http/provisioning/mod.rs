//! `/v1/provisioning`.

pub mod send;
