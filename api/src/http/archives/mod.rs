//! `/v1/archives`: what an account needs to own backups. Who shows a backup credential is nobody in particular; this side is
//! about the account.

pub mod credentials;
pub mod limits;
pub mod set_requests;
