//! `erasure-{aci}` and `erasure-payloads`: what was destroyed, when, and because of which event. The bytes and keys are gone;
//! that they were destroyed is a fact.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::{DeviceId, Generation};
use crate::store::Position;

event_family! {
    /// What can have been destroyed.
    ErasureEvent in Erasure {
        1 AccountErased { }
        2 DeviceErased { }
        3 PayloadsErased { }
        4 LeftoversErased { }
    }
}

/// Everything of a deleted account that could be destroyed is destroyed: in `erasure-{aci}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountErased {
    /// The position of the deletion.
    pub deletion: Position,
    /// How many payloads were there.
    pub payloads: u64,
    /// Whether the key to its personal values was there.
    pub account_key: bool,
    /// How many keys to its number's verification sessions were there.
    pub session_keys: u32,
}

/// What waited for a device that is gone is destroyed, with its pre-keys: in `erasure-{aci}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceErased {
    /// The device.
    pub device: DeviceId,
    /// Which of the devices that had this id.
    pub generation: Generation,
    /// The position of the event that ended it.
    pub removal: Position,
    /// How many payloads were there.
    pub payloads: u64,
}

/// Of all payloads whose purpose had ended by a place in the log (delivered, expired, taken, replaced), none is left: in
/// `erasure-payloads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadsErased {
    /// The place.
    pub through: Position,
    /// How many were erased since the event before this one.
    pub payloads: u64,
}

/// A sweep has found something that should have been destroyed, or belonged to no event, and destroyed it: in
/// `erasure-payloads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftoversErased {
    /// The place in the log up to which purposes were judged.
    pub through: Position,
    /// Payloads whose purpose had ended.
    pub payloads: u64,
    /// Payloads whose event never came.
    pub orphans: u64,
    /// Keys whose subject had ended.
    pub keys: u64,
}
