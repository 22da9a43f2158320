//! `/v1/profile`: what accounts show to those whom they gave their profile key.

pub mod credential;
pub mod fetch;
pub mod identity_check;
pub mod set;
pub mod version;
pub mod wire;
