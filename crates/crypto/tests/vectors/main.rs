//! What the official library accepts, refuses and computes, file by file.

#![expect(
    clippy::unwrap_used,
    reason = "a vector that cannot be read is a failed test"
)]

mod keys;
mod support;
mod tokens;
mod xeddsa;
