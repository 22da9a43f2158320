//! Bytes that clients own: message ciphertext, pages of pre-keys.
//!
//! They never sit in the log. An event carries a [`PayloadRef`]; the bytes stand beside the log under their id, are
//! written in the same transaction, and are erased when their purpose ends. History then still tells that there were
//! so many bytes with this digest.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::values::{shown_by_its_start, sized_bytes};

/// Where a payload stands in the payload store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayloadId(pub Uuid);

impl fmt::Display for PayloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 of a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadDigest(pub [u8; 32]);

impl PayloadDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

sized_bytes!(PayloadDigest, "a SHA-256 hash (32 bytes)");
shown_by_its_start!(PayloadDigest);

/// What an event says of a payload. It stays true after the bytes are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadRef {
    /// Where the bytes are, until they are erased.
    pub id: PayloadId,
    /// How many bytes there are.
    pub length: u32,
    /// Their SHA-256.
    pub sha256: PayloadDigest,
}

/// Bytes on their way into the payload store.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Where they will stand.
    pub id: PayloadId,
    /// The bytes.
    pub bytes: Bytes,
}

impl Payload {
    /// What the event has to carry.
    pub fn reference(&self) -> PayloadRef {
        PayloadRef {
            id: self.id,
            length: u32::try_from(self.bytes.len())
                .expect("the doors' size limits lie far below 4 GiB"),
            sha256: PayloadDigest::of(&self.bytes),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.id, self.bytes.len())
    }
}
