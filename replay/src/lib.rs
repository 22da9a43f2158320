#![doc = include_str!("../README.md")]

pub mod audit;
pub mod cli;
pub mod export;
pub mod import;
pub mod parking;
pub mod rebuild;
pub mod retention;
pub mod status;
pub mod steer;
pub mod verify;

mod bulk;
mod compare;
mod control;
mod environment;
mod error;
mod fill;
mod meter;
mod operator;
mod reading;
mod scratch;
mod secrets;
mod table;

pub use compare::{Difference, Kind};
pub use environment::Environment;
pub use error::ReplayError;
pub use scratch::sweep;
