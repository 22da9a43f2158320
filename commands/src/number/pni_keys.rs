//! The keys that an account brings for the identity of its new number.

use std::collections::{BTreeMap, BTreeSet};

use events::keys::{KeysEvent, PreKeysDropped, SignedPreKeyRotated};
use events::values::keys::{EcPublicKey, KyberPreKey, SignedPreKey};
use events::{DeviceId, Pni, RegistrationId};

use crate::account::Live;
use crate::command::Unavailable;
use crate::executor::work::Work;
use crate::keys::PreKeys;
use crate::keys::repeated_use::{is_signed, last_resort_set};

/// What every device of the account, the calling one included, gets for the identity of the new number.
#[derive(Clone, Debug, Default)]
pub struct NewPniKeys {
    /// Signed pre-keys.
    pub signed: BTreeMap<DeviceId, SignedPreKey>,
    /// Kyber keys of last resort.
    pub last_resort: BTreeMap<DeviceId, KyberPreKey>,
    /// Registration ids.
    pub registration_ids: BTreeMap<DeviceId, RegistrationId>,
}

/// The keys are not for exactly the devices that the account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongKeys {
    /// Devices that got too little.
    pub missing: Vec<DeviceId>,
    /// Devices that do not exist.
    pub extra: Vec<DeviceId>,
}

impl NewPniKeys {
    /// Whether the identity key made all signatures.
    pub fn are_signed_by(&self, identity: &EcPublicKey) -> bool {
        let signed = self.signed.values();
        let mut signed = signed.map(|key| (key.public_key.as_ref(), &key.signature));
        let kyber = self.last_resort.values();
        let mut kyber = kyber.map(|key| (key.public_key.as_ref(), &key.signature));
        signed.all(|(key, signature): (&[u8], _)| is_signed(identity, key, signature))
            && kyber.all(|(key, signature): (&[u8], _)| is_signed(identity, key, signature))
    }

    /// Whether each of the three is there for all devices, and for no others.
    pub fn check(&self, account: &Live) -> Result<(), WrongKeys> {
        let devices: BTreeSet<_> = account.devices.keys().copied().collect();
        let named: [BTreeSet<_>; 3] = [
            self.signed.keys().copied().collect(),
            self.last_resort.keys().copied().collect(),
            self.registration_ids.keys().copied().collect(),
        ];
        let missing = |id: &&DeviceId| !named.iter().all(|named| named.contains(id));
        let missing: Vec<_> = devices.iter().filter(missing).copied().collect();
        let all: BTreeSet<_> = named.iter().flatten().copied().collect();
        let extra: Vec<_> = all.difference(&devices).copied().collect();
        if missing.is_empty() && extra.is_empty() {
            Ok(())
        } else {
            Err(WrongKeys { missing, extra })
        }
    }

    /// The events that put a device's keys into a stream; whatever stands there is void.
    fn events(&self, work: &mut Work<'_>, device: DeviceId, stands: bool) -> Vec<KeysEvent> {
        let mut events = Vec::new();
        if stands {
            events.push(PreKeysDropped {}.into());
        }
        if let Some(key) = self.signed.get(&device) {
            events.push(SignedPreKeyRotated { key: key.clone() }.into());
        }
        if let Some(key) = self.last_resort.get(&device) {
            events.push(last_resort_set(work, key));
        }
        events
    }
}

/// Records the keys of all devices for the number's identity. Devices keep their generations, so somebody who held the number
/// before may have left keys in the very streams; they, and the account's own one-time keys, are void.
pub(super) async fn record(
    work: &mut Work<'_>,
    account: &Live,
    pni: Pni,
    keys: &NewPniKeys,
) -> Result<(), Unavailable> {
    for (id, device) in &account.devices {
        let stream = work
            .load::<PreKeys>((pni.into(), *id, device.generation))
            .await?;
        let events = keys.events(work, *id, *stream != PreKeys::default());
        work.record(&stream, events);
    }
    Ok(())
}

/// Makes the keys of all devices for an earlier number void.
pub(super) async fn drop_all(
    work: &mut Work<'_>,
    account: &Live,
    pni: Pni,
) -> Result<(), Unavailable> {
    record(work, account, pni, &NewPniKeys::default()).await
}
