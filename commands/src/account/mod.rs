//! Accounts: who they are, what protects them, how they end.

pub mod access;
pub mod change_access;
pub mod change_attributes;
pub mod change_protection;
pub mod clear_push_token;
pub mod delete_account;
pub mod drop_push_token;
pub mod mark_seen;
pub mod meet_challenge;
pub mod rename_device;
pub mod set_push_token;
pub mod set_zk_credential_key;
pub mod state;

pub use access::{Caller, Denied};
pub use state::{Account, Device, Live};
