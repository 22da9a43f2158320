//! `tree-log`: signed heads of the Merkle tree over the log. They stand in the log themselves, so that a head that was taken
//! away leaves a hole.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::values::{InvalidBytes, Timestamp, base64_serde};

event_family! {
    /// What can happen to the tree.
    TreeEvent in Tree {
        1 TreeHeadSigned { }
    }
}

/// The server signed that the log's first `size` events have this root (RFC 6962, section 3.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHeadSigned {
    /// How many events the tree covers: the position of the last.
    pub size: u64,
    /// The tree's root.
    pub root: TreeHash,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// Ed25519 over the head.
    pub signature: HeadSignature,
}

/// SHA-256 of a node of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeadSignature(pub [u8; 64]);

macro_rules! fixed_bytes {
    ($name:ident, $what:literal) => {
        impl TryFrom<Vec<u8>> for $name {
            type Error = InvalidBytes;

            fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
                bytes.try_into().map(Self).map_err(|_| InvalidBytes($what))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(
                    f,
                    concat!(stringify!($name), "({}…)"),
                    hex::encode(&self.0[..4])
                )
            }
        }

        base64_serde!($name);
    };
}

fixed_bytes!(TreeHash, "a node of the tree (32 bytes)");
fixed_bytes!(HeadSignature, "an Ed25519 signature (64 bytes)");
