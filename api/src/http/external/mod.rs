//! Credentials for services beside this one, which check them with a key that they share with the server. The services
//! are somebody else's.

pub mod auth;
pub mod check;
