//! Pre-keys: what devices leave here so that others can write to them while they are away.

pub mod repeated_use;
pub mod set_keys;
pub mod state;
pub mod take_pre_keys;

pub use repeated_use::{IdentityBundle, RegistrationKeys, RepeatedUseKeys};
pub use state::PreKeys;
