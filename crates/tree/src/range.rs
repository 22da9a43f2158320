//! Ranges: the proof that a stretch of the log stands in a signed tree, from the stretch itself and few nodes beside it.

use events::tree::TreeHash;

use crate::frontier::Frontier;
use crate::proof::Nodes;

/// The stretches of full subtrees that the first `size` leaves consist of, largest first.
fn up_to(size: u64) -> impl Iterator<Item = (u64, u32)> {
    let levels = (0..u64::BITS).rev();
    levels
        .filter(move |level| size >> level & 1 == 1)
        .map(move |level| (size >> level >> 1 << 1 << level, level))
}

/// The full subtrees that lead from `start` leaves to `size` leaves, in order.
fn onwards(start: u64, size: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let left = size.checked_sub(at).filter(|left| *left > 0)?;
        let level = left.ilog2().min(at.trailing_zeros());
        let found = (at, level);
        at += 1 << level;
        Some(found)
    })
}

fn over(nodes: &(impl Nodes + ?Sized), (start, level): (u64, u32)) -> TreeHash {
    nodes.over(start, start + (1 << level))
}

/// The nodes left of a range that begins after `start` leaves.
pub fn before(nodes: &(impl Nodes + ?Sized), start: u64) -> Vec<TreeHash> {
    up_to(start).map(|stretch| over(nodes, stretch)).collect()
}

/// The nodes right of a range that ends with leaf `end`, in the tree of the first `size` leaves.
pub fn behind(nodes: &(impl Nodes + ?Sized), end: u64, size: u64) -> Vec<TreeHash> {
    onwards(end, size)
        .map(|stretch| over(nodes, stretch))
        .collect()
}

/// The root of the first `size` leaves that follows from a range and the nodes beside it; `None` if they do not fit.
pub fn root_from(
    start: u64,
    before: &[TreeHash],
    leaves: impl IntoIterator<Item = TreeHash>,
    behind: &[TreeHash],
    size: u64,
) -> Option<TreeHash> {
    let mut frontier = Frontier::default();
    let left: Vec<_> = up_to(start).collect();
    if left.len() != before.len() {
        return None;
    }
    for ((_, level), node) in left.into_iter().zip(before) {
        frontier.push_full(*node, level);
    }
    for leaf in leaves {
        frontier.push(leaf);
    }
    let right: Vec<_> = onwards(frontier.size(), size).collect();
    if right.len() != behind.len() {
        return None;
    }
    for ((_, level), node) in right.into_iter().zip(behind) {
        frontier.push_full(*node, level);
    }
    (frontier.size() == size).then(|| frontier.root())
}
