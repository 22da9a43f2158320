//! `/v2/config`.

pub mod fetch;
