//! The root of a growing tree, in logarithmic memory.

use events::tree::TreeHash;

use crate::hash;

/// The roots of the full subtrees that a tree consists of, largest first: one for each bit of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<TreeHash>,
}

impl Frontier {
    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        self.push_full(leaf, 0);
    }

    /// Adds a full subtree of 2^`level` leaves. The tree must consist of such subtrees so far.
    pub fn push_full(&mut self, root: TreeHash, level: u32) {
        debug_assert!(self.size.trailing_zeros() >= level || self.size == 0);
        let mut root = root;
        let mut full = self.size >> level;
        while full & 1 == 1 {
            let left = self.roots.pop().expect("there is a root for each bit");
            root = hash::node(&left, &root);
            full >>= 1;
        }
        self.roots.push(root);
        self.size += 1 << level;
    }

    /// The root over all leaves.
    pub fn root(&self) -> TreeHash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return hash::empty();
        };
        roots.fold(*last, |right, left| hash::node(left, &right))
    }
}
