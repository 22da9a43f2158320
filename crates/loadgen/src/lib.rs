#![doc = include_str!("../README.md")]

pub mod demo;
mod dial;
pub mod fleet;
pub mod idle;
pub mod ledger;
pub mod load;
mod member;
pub mod process;
pub mod report;
pub mod servers;
pub mod socket;
