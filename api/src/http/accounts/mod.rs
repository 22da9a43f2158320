//! `/v1/accounts` and `/v2/accounts`.

pub mod attributes;
pub mod data_report;
pub mod delete;
pub mod discoverability;
pub mod exists;
pub mod identity;
pub mod name;
pub mod number;
pub mod push_token;
pub mod registration_lock;
pub mod whoami;
