//! Devices beside the first: how they join an account and leave it.

pub mod link_device;
pub mod remove_device;

use events::account::{DeviceTraits, NewDevice, PushToken};
use events::values::hashes::SaltedHash;
use events::{DeviceId, Generation, Personal, RegistrationId};

/// The most devices that an account can have, the primary included.
pub const DEVICE_LIMIT: usize = 6;

/// What a device brings when it joins an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAttributes {
    /// Its registration id for the account's identity.
    pub registration_id: RegistrationId,
    /// Its registration id for the number's identity.
    pub pni_registration_id: Option<RegistrationId>,
    /// The hash of its password.
    pub credential: SaltedHash,
    /// What it says of itself.
    pub traits: DeviceTraits,
    /// How to wake it, unless it fetches its messages by itself.
    pub push: Option<Personal<PushToken>>,
}

impl DeviceAttributes {
    /// The device under the id and generation that it gets.
    pub(crate) fn joining(&self, id: DeviceId, generation: Generation) -> NewDevice {
        NewDevice {
            id,
            generation,
            registration_id: self.registration_id,
            pni_registration_id: self.pni_registration_id,
            credential: self.credential.clone(),
            traits: self.traits.clone(),
            push: self.push.clone(),
        }
    }
}
