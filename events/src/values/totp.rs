//! Time-based one-time passwords as a second proof at registration.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{InvalidBytes, base64_serde, sized_bytes};

/// The number of a key within its account, from 1. Never given anew.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TotpKeyId(pub u32);

impl TotpKeyId {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for TotpKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A shared secret of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(pub [u8; 32]);

sized_bytes!(TotpSecret, "a key for one-time passwords (32 bytes)");

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// What an owner notes about a key: 160 bytes of ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpMetadata(Box<[u8]>);

impl TotpMetadata {
    /// The size in bytes.
    pub const LEN: usize = 160;
}

impl TryFrom<Vec<u8>> for TotpMetadata {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        if bytes.len() == Self::LEN {
            Ok(Self(bytes.into()))
        } else {
            Err(InvalidBytes("encrypted key metadata (160 bytes)"))
        }
    }
}

impl AsRef<[u8]> for TotpMetadata {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TotpMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpMetadata(…)")
    }
}

base64_serde!(TotpMetadata);
