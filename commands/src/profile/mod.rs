//! Profiles: what an account shows to those whom it gave its profile key.

pub mod set_avatar;
pub mod set_profile;
pub mod state;

pub use state::{Profile, Slot};
