#![doc = include_str!("../README.md")]

pub mod account_activity;
pub mod accounts;
pub mod devices;
pub mod inbox;
pub mod pre_keys;
pub mod profiles;
pub mod verification_sessions;

mod columns;
mod copy;
mod drafts;
mod error;
mod queries;
mod read_model;
mod registry;
mod rows;
mod whole;

pub use error::QueryError;
pub use queries::{Connections, Queries};
pub use registry::{MODELS, Model, UnknownModel};
pub use subscription::{Progress, Standing, State};
