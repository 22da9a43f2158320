#![doc = include_str!("../README.md")]

pub mod access_key;
pub mod certificate;
pub mod doors;
pub mod external;
pub mod keys;
pub mod linking;
mod mac;
pub mod multi_recipient;
pub mod phone;
pub mod relay;
pub mod sealing;
pub mod secrets;
pub mod token_hash;
pub mod totp;
pub mod tuple_hash;
pub mod username;
pub mod xeddsa;
pub mod zk;

use subtle::ConstantTimeEq as _;

/// Whether two secrets are the same. Takes as long for any two of the same length.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
#[expect(
    dead_code,
    reason = "it is written for the tests in `tests/vectors` first"
)]
#[path = "../tests/vectors/support.rs"]
mod vectors;
