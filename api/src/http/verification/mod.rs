//! `/v1/verification/session`: somebody proves that a phone number is theirs. Nobody needs credentials here.

mod challenge;
pub mod create;
pub mod prove;
pub mod request_code;
pub mod resume;
pub mod session;
pub mod submit_code;
