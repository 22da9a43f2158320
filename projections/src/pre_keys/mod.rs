//! How many one-time pre-keys each device still has, for each of its identities.

mod apply;
mod query;
mod row;

pub(crate) use apply::PreKeys;
pub use query::PreKeyQueries;

/// The table.
const TABLE: &str = "pre_keys_v1";

/// How many one-time pre-keys a device still has for one of its identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreKeyCounts {
    /// Curve25519.
    pub ec: u32,
    /// Kyber-1024; the key of last resort does not count.
    pub kyber: u32,
}
