//! Phone numbers: who holds them.

pub mod state;

pub use state::{Number, resolve};
