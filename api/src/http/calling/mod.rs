//! Calls: where they are relayed, and links to them.

pub mod create_link;
pub mod relays;
