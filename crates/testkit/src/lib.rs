#![doc = include_str!("../README.md")]

pub mod environment;
pub mod eventstore;
pub mod history;
pub mod memory;
pub mod postgres;

pub use store_contract as contract;
pub use store_contract::store_contract;
