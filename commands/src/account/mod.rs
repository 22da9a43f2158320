//! Accounts: who they are, what protects them, how they end.

pub mod access;
pub mod change_attributes;
pub mod delete_account;
pub mod mark_seen;
pub mod state;

pub use access::{Caller, Denied};
pub use state::{Account, Device, Live};
