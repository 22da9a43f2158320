//! How many one-time pre-keys each device still has, for each of its identities, and which keys it hands out again and
//! again.

mod apply;
mod query;
mod row;

use events::PayloadId;
use events::values::keys::SignedPreKey;

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

/// The keys that a device hands out again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedUse {
    /// The signed pre-key.
    pub signed: SignedPreKey,
    /// The payload that is the Kyber key of last resort.
    pub last_resort: PayloadId,
}
