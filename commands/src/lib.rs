#![doc = include_str!("../README.md")]

pub mod account;
pub mod aggregate;
pub mod backup;
pub mod command;
pub mod device;
pub mod executor;
pub mod keys;
pub mod message;
pub mod number;
pub mod picture;
pub mod ports;
pub mod profile;
pub mod registration;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod totp;
pub mod username;
pub mod verification;

pub use aggregate::Aggregate;
pub use command::{Command, Refusal, Stop, Unavailable};
pub use executor::work::{Loaded, Work};
pub use executor::{Executed, Executor, Failure, RequestContext};
