//! The messages and services of the protocol, as the build made them of their descriptions.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    reason = "generated from the .proto files beside this one"
)]

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

pub use org::signal::chat::*;

/// The descriptions, encoded as a `FileDescriptorSet`; what they import is in it. `descriptors.bin`, which is checked
/// in, is the same.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
