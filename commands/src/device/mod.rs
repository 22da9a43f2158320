//! Devices beside the first: how they join an account and leave it.

pub mod change_capabilities;
pub mod link_device;
pub mod offer_archive;
pub mod remove_device;

use crypto::sealing::seal_created_at;
use events::account::{DeviceTraits, NewDevice, PushToken};
use events::values::SealedCreationTime;
use events::values::hashes::SaltedHash;
use events::values::keys::EcPublicKey;
use events::{DeviceId, Generation, Personal, RegistrationId};

use crate::executor::work::Work;

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
            created_at: None,
        }
    }

    /// The same, with the moment sealed for an account that has an identity key.
    pub(crate) fn joining_at(
        &self,
        id: DeviceId,
        generation: Generation,
        identity: Option<&EcPublicKey>,
        work: &Work<'_>,
    ) -> NewDevice {
        let seal = |key| {
            let rng = &mut work.entropy().rng();
            let sealed = seal_created_at(key, id, self.registration_id, work.at(), rng);
            // Nothing can be sealed for a key of small order, and its owner could not open it.
            SealedCreationTime::try_from(sealed.ok()?).ok()
        };
        NewDevice {
            created_at: identity.and_then(seal),
            ..self.joining(id, generation)
        }
    }
}
