#![doc = include_str!("../README.md")]

pub mod demo;
pub mod fleet;
pub mod frames;
pub mod idle;
pub mod ledger;
pub mod load;
mod member;
pub mod report;
pub mod socket;
