//! `tree-log`: signed heads of the Merkle tree over the log. They stand in the log themselves, so that a head that was taken
//! away leaves a hole.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::values::{Timestamp, shown_by_its_start, sized_bytes};

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

sized_bytes!(TreeHash, "a node of the tree (32 bytes)");
shown_by_its_start!(TreeHash);
sized_bytes!(HeadSignature, "an Ed25519 signature (64 bytes)");
shown_by_its_start!(HeadSignature);
