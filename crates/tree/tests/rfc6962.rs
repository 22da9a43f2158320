//! The test vectors of RFC 6962's reference implementation, and the definition itself as the judge of everything else.

#![expect(clippy::unwrap_used, reason = "a test")]

use events::tree::TreeHash;
use proptest::prelude::*;
use tree::frontier::Frontier;
use tree::hash;
use tree::proof::{consistency, inclusion, is_consistent, root_from};
use tree::range;

const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves(count: usize) -> Vec<TreeHash> {
    LEAVES[..count]
        .iter()
        .map(|leaf| hash::leaf(&hex::decode(leaf).unwrap()))
        .collect()
}

fn hex_of(hash: TreeHash) -> String {
    hex::encode(hash.0)
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex_of(hash::empty()), empty);
    assert_eq!(hex_of(Frontier::default().root()), empty);
    for (count, root) in (1..).zip(ROOTS) {
        assert_eq!(hex_of(hash::root(&leaves(count))), root);
    }
}

#[test]
fn inclusion_paths_are_those_of_the_reference_implementation() {
    let hashes = leaves(8);
    let path = inclusion(&hashes[..], 5, 8);
    let path: Vec<_> = path.into_iter().map(hex_of).collect();
    assert_eq!(
        path,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn consistency_paths_are_those_of_the_reference_implementation() {
    let hashes = leaves(8);
    let path = consistency(&hashes[..], 6, 8);
    let path: Vec<_> = path.into_iter().map(hex_of).collect();
    assert_eq!(
        path,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

/// The definition, word for word.
fn defined(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => hash::empty(),
        [leaf] => *leaf,
        _ => {
            let mut middle = 1;
            while middle * 2 < leaves.len() {
                middle *= 2;
            }
            let (left, right) = leaves.split_at(middle);
            hash::node(&defined(left), &defined(right))
        }
    }
}

fn many(count: usize) -> Vec<TreeHash> {
    (0..count as u64)
        .map(|n| hash::leaf(&n.to_be_bytes()))
        .collect()
}

proptest! {
    #[test]
    fn a_grown_root_is_the_defined_one(count in 0_usize..600) {
        prop_assert_eq!(hash::root(&many(count)), defined(&many(count)));
    }

    #[test]
    fn a_leaf_is_proved_in_its_place_and_no_other(count in 1_usize..600, at: prop::sample::Index, other: prop::sample::Index) {
        let hashes = many(count);
        let (index, size) = (at.index(count), count as u64);
        let path = inclusion(&hashes[..], index as u64, size);
        let root = defined(&hashes);
        prop_assert_eq!(root_from(hashes[index], index as u64, size, &path), Some(root));
        let wrong = other.index(count);
        if wrong != index {
            prop_assert_ne!(root_from(hashes[wrong], index as u64, size, &path), Some(root));
            prop_assert_ne!(root_from(hashes[index], wrong as u64, size, &path), Some(root));
        }
        prop_assert_eq!(root_from(hashes[index], size, size, &path), None);
    }

    #[test]
    fn a_tree_is_proved_to_be_the_beginning_of_another(count in 1_usize..600, part: prop::sample::Index, flip: prop::sample::Index) {
        let hashes = many(count);
        let old = part.index(count) + 1;
        let path = consistency(&hashes[..], old as u64, count as u64);
        let (old_root, new_root) = (defined(&hashes[..old]), defined(&hashes));
        let (was, is) = ((old as u64, old_root), (count as u64, new_root));
        prop_assert!(is_consistent(was, is, &path));
        let mut forged = hashes.clone();
        forged[flip.index(old)] = hash::leaf(b"forged");
        prop_assert!(!is_consistent((old as u64, defined(&forged[..old])), is, &path));
        prop_assert!(!is_consistent(was, (count as u64, defined(&forged)), &path));
    }
}

proptest! {
    #[test]
    fn a_range_and_the_nodes_beside_it_lead_to_the_root_and_another_range_does_not(
        size in 1..300_u64, from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), changed in any::<prop::sample::Index>(),
    ) {
        let all: Vec<TreeHash> = (0..size).map(|n| hash::leaf(&n.to_be_bytes())).collect();
        let start = from.index(all.len());
        let end = start + 1 + to.index(all.len() - start);
        let (before, behind) = (range::before(&all[..], start as u64), range::behind(&all[..], end as u64, size));
        let root = |leaves: &[TreeHash]| range::root_from(start as u64, &before, leaves.iter().copied(), &behind, size);
        prop_assert_eq!(root(&all[start..end]), Some(hash::root(&all)));
        let mut other = all[start..end].to_vec();
        other[changed.index(end - start)] = hash::leaf(b"another");
        prop_assert_ne!(root(&other), Some(hash::root(&all)));
        prop_assert_ne!(root(&all[start..end - 1]), Some(hash::root(&all)));
    }
}
