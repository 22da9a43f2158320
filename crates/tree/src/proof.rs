//! Proofs of inclusion and of consistency (RFC 6962, sections 2.1.1 and 2.1.2; checked as RFC 9162 describes).

use events::tree::TreeHash;

use crate::hash::{self, node, split};

/// Whatever knows the hash over any stretch of leaves.
pub trait Nodes {
    /// The root over the leaves from `start` up to, and without, `end`. The stretch is one that proofs ask for: a node of
    /// the tree, or its right edge.
    fn over(&self, start: u64, end: u64) -> TreeHash;
}

impl Nodes for [TreeHash] {
    fn over(&self, start: u64, end: u64) -> TreeHash {
        let index = |at| usize::try_from(at).expect("the leaves are in memory");
        hash::root(&self[index(start)..index(end)])
    }
}

/// The path from leaf `index` up to the root of the first `size` leaves, lowest sibling first.
pub fn inclusion(nodes: &(impl Nodes + ?Sized), index: u64, size: u64) -> Vec<TreeHash> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(nodes.over(middle, end));
            end = middle;
        } else {
            path.push(nodes.over(start, middle));
            start = middle;
        }
    }
    path.reverse();
    path
}

/// The root that follows from a leaf and its path; `None` if the path does not fit the place.
pub fn root_from(leaf: TreeHash, index: u64, size: u64, path: &[TreeHash]) -> Option<TreeHash> {
    if index >= size {
        return None;
    }
    let (mut first, mut last) = (index, size - 1);
    let mut root = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if first & 1 == 1 || first == last {
            root = node(sibling, &root);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Shows that the tree of `old` leaves is the beginning of that of `new` leaves (`0 < old <= new`).
pub fn consistency(nodes: &(impl Nodes + ?Sized), old: u64, new: u64) -> Vec<TreeHash> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, new);
    let mut whole = true;
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(nodes.over(middle, end));
            end = middle;
        } else {
            path.push(nodes.over(start, middle));
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(nodes.over(start, end));
    }
    path.reverse();
    path
}

/// Whether the path shows that a tree of `old` leaves with `old_root` is the beginning of one of `new` leaves with
/// `new_root`.
pub fn is_consistent(
    (old, old_root): (u64, TreeHash),
    (new, new_root): (u64, TreeHash),
    path: &[TreeHash],
) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    let (mut first, mut last) = (old - 1, new - 1);
    while first & 1 == 1 {
        first >>= 1;
        last >>= 1;
    }
    let mut path = path.iter();
    // Where the old tree is a full subtree of the new one, its root is known already.
    let begin = if old.is_power_of_two() {
        Some(old_root)
    } else {
        path.next().copied()
    };
    let Some(begin) = begin else {
        return false;
    };
    let (mut to_old, mut to_new) = (begin, begin);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            to_old = node(sibling, &to_old);
            to_new = node(sibling, &to_new);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            to_new = node(&to_new, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && to_old == old_root && to_new == new_root
}
