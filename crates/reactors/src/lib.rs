#![doc = include_str!("../README.md")]

pub mod erasure;
pub mod expiry;
pub mod pictures;
pub mod push;

mod component;

pub use component::{Options, Reactors};
