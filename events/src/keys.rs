//! `keys-{service id}.{device}.{generation}`: the pre-keys by which others start a session with one device.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::PreKeyId;
use crate::payload::{PayloadId, PayloadRef};
use crate::values::keys::SignedPreKey;

event_family! {
    /// What can happen to a device's pre-keys.
    KeysEvent in Keys {
        1 SignedPreKeyRotated { }
        2 LastResortPreKeySet { }
        3 PreKeysUploaded { }
        4 OneTimePreKeyTaken { }
        5 PreKeysDropped { }
    }
}

/// The two kinds of one-time pre-keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreKeyKind {
    /// Curve25519.
    Ec,
    /// Kyber-1024.
    Kyber,
}

/// A new signed pre-key took the place of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPreKeyRotated {
    /// The key.
    pub key: SignedPreKey,
}

/// A new Kyber key is handed out when one-time keys have run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastResortPreKeySet {
    /// The client's number for it.
    pub key_id: PreKeyId,
    /// The key and its signature: one [`crate::values::keys::KyberPreKey`] record.
    pub record: PayloadRef,
}

/// A page of one-time pre-keys took the place of all of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreKeysUploaded {
    /// Which kind.
    pub kind: PreKeyKind,
    /// The keys' ids in the order of their records, which is the order in which they will be taken.
    pub key_ids: Vec<PreKeyId>,
    /// The records (see [`crate::values::keys::PageRecord`]).
    pub page: PayloadRef,
}

/// Somebody was given a one-time pre-key. Nobody else will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimePreKeyTaken {
    /// Which kind.
    pub kind: PreKeyKind,
    /// The key.
    pub key_id: PreKeyId,
    /// The page that it stands on.
    pub page: PayloadId,
    /// The number of its record on the page, from 0.
    pub index: u16,
}

/// All keys are void: the account came to the number anew, and what stands here was made for somebody else's identity, or
/// for one that is no longer used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreKeysDropped {}
