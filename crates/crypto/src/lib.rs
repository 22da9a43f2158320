#![doc = include_str!("../README.md")]

pub mod access_key;
pub mod keys;
pub mod linking;
mod mac;
pub mod phone;
pub mod token_hash;
pub mod xeddsa;
