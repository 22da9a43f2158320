//! Secrets that the log may keep only as hashes, and short secrets that clients share with each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::sized_bytes;

/// A salted hash of a token: a device password, a registration lock, a recovery password, a verification code.
///
/// `crypto` makes and checks them; here they are two texts. The hash starts with the version of the scheme, `2.`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaltedHash {
    /// 16 random bytes in lower-case hex.
    pub salt: Box<str>,
    /// `2.` and 32 bytes in lower-case hex.
    pub hash: Box<str>,
}

impl fmt::Debug for SaltedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedHash(…)")
    }
}

/// The key by which somebody who knows a profile may write to it anonymously: 16 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct UnidentifiedAccessKey([u8; 16]);

impl UnidentifiedAccessKey {
    /// The size in bytes.
    pub const LEN: usize = 16;

    /// The bytes. Compare them in constant time.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

sized_bytes!(UnidentifiedAccessKey, "an access key (16 bytes)");

impl fmt::Debug for UnidentifiedAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnidentifiedAccessKey(…)")
    }
}

/// SHA-256 of a device-linking token: enough to see that a token was spent, not enough to spend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkTokenHash(pub [u8; 32]);

sized_bytes!(LinkTokenHash, "a SHA-256 hash (32 bytes)");
