//! Registration: a number becomes an account, or becomes one again.

pub mod register_account;
pub mod registration_lock;
mod seat;
