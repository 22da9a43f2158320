//! Hashes of leaves and nodes (RFC 6962, section 2.1). The prefixes keep one from passing for the other.

use events::tree::TreeHash;
use sha2::{Digest as _, Sha256};

/// The root of a tree without leaves.
pub fn empty() -> TreeHash {
    TreeHash(Sha256::digest([]).into())
}

/// The hash of a leaf.
pub fn leaf(bytes: &[u8]) -> TreeHash {
    let mut hash = Sha256::new_with_prefix([0]);
    hash.update(bytes);
    TreeHash(hash.finalize().into())
}

/// The hash of a node above two others.
pub fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let mut hash = Sha256::new_with_prefix([1]);
    hash.update(left.0);
    hash.update(right.0);
    TreeHash(hash.finalize().into())
}

/// Where a tree of `size` leaves (two at least) divides: the largest power of two below `size`.
pub const fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root over these leaves.
pub fn root(leaves: &[TreeHash]) -> TreeHash {
    let mut frontier = crate::frontier::Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}
