#![doc = include_str!("../README.md")]

pub mod contract;
pub mod environment;
pub mod eventstore;
pub mod history;
pub mod memory;
pub mod postgres;
