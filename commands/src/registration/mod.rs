//! Registration: a number becomes an account, or becomes one again.

pub mod proof;
pub mod register_account;
pub mod registration_lock;
mod seat;

pub use proof::{NumberProof, Unproved};
pub use registration_lock::Locked;
