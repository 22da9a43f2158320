//! `/v2/config`.

pub mod fetch;
pub mod fetch_old;
