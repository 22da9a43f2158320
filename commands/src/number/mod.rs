//! Phone numbers: who holds them, and how accounts come to others.

pub mod change_number;
mod pni_keys;
pub mod state;

pub use change_number::ChangeNumber;
pub use pni_keys::{NewPniKeys, WrongKeys};
pub use state::{Number, resolve};
