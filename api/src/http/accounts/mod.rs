//! `/v1/accounts`.

pub mod attributes;
pub mod delete;
pub mod exists;
pub mod identity;
pub mod whoami;
