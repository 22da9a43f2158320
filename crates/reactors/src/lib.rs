#![doc = include_str!("../README.md")]

pub mod erasure;

mod component;

pub use component::{Options, Reactors};
