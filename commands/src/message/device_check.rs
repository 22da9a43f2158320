//! Whether a sender knows the recipient's devices as they are.

use std::collections::BTreeSet;

use events::DeviceId;
use events::ids::IdentityKind;

use crate::account::Live;

/// What a sender knows wrongly of the recipient's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongDevices {
    /// Devices were left out, or addressed that do not exist.
    Mismatched {
        /// Left out.
        missing: Vec<DeviceId>,
        /// Not there.
        extra: Vec<DeviceId>,
    },
    /// Devices were installed anew since the sender met them.
    Stale {
        /// Which.
        devices: Vec<DeviceId>,
    },
}

/// Compares the devices that a sender addresses with those of the account, for messages to one recipient: stale devices
/// are reported before missing and extra ones. All devices count, idle ones too.
///
/// `sender` is the account's own device that sends to the others. A sender who quotes no registration id is not checked
/// for it; a device without a registration id for the identity is stale whatever is quoted.
pub fn check(
    account: &Live,
    identity: IdentityKind,
    sender: Option<DeviceId>,
    addressed: impl IntoIterator<Item = (DeviceId, Option<u32>)>,
) -> Result<(), WrongDevices> {
    let mut missing: BTreeSet<DeviceId> = account.devices.keys().copied().collect();
    missing.retain(|device| Some(*device) != sender);
    let mut extra = Vec::new();
    let mut stale = Vec::new();
    for (id, quoted) in addressed {
        let Some(device) = account.devices.get(&id).filter(|_| missing.remove(&id)) else {
            extra.push(id);
            continue;
        };
        let current = device.registration_id(identity).map(u32::from);
        if quoted.is_some_and(|quoted| Some(quoted) != current) {
            stale.push(id);
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    match (stale.is_empty(), missing.is_empty() && extra.is_empty()) {
        (false, _) => Err(WrongDevices::Stale { devices: stale }),
        (true, false) => Err(WrongDevices::Mismatched { missing, extra }),
        (true, true) => Ok(()),
    }
}
