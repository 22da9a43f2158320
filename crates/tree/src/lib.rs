#![doc = include_str!("../README.md")]

pub mod frontier;
pub mod hash;
pub mod head;
pub mod keeper;
pub mod leaf;
pub mod proof;
pub mod range;
pub mod tiles;

pub use head::{HeadKey, PublicKey, SignedHead};
pub use keeper::{Keeper, KeeperOptions};
