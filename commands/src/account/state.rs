//! What rules need to know of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use events::account::{
    Access, AccountEvent, AccountRegistered, AccountReregistered, AttributesChanged, DeviceTraits,
    IdentityKeys, NewDevice, Protection,
};
use events::ids::DeviceAddress;
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use events::values::keys::EcPublicKey;
use events::{
    Aci, DeviceId, Generation, Personal, Pni, RegistrationId, ServiceId, StreamId, Timestamp,
};

use crate::aggregate::Aggregate;

/// How long a spent linking token is remembered: twice as long as a token is valid, whatever the clocks of two nodes say.
const SPENT_TOKEN_MEMORY: Duration = Duration::from_mins(20);

/// An account, from before it was registered until after it was deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// What it is now, if it exists.
    pub live: Option<Box<Live>>,
    /// When it was last deleted.
    pub deleted: Option<Deletion>,
    /// How many devices it has had, over all its lives.
    pub generation: Generation,
}

/// The end of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When.
    pub at: Timestamp,
    /// Which number it had.
    pub pni: Pni,
}

/// An account that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The pseudonym of its number.
    pub pni: Pni,
    /// The public keys of its identities.
    pub identity: IdentityKeys,
    /// Its devices; device 1 is always there.
    pub devices: BTreeMap<DeviceId, Device>,
    /// Who may reach it, and how.
    pub access: Access,
    /// What protects it.
    pub protection: Protection,
    /// Whether a failed registration lock has invalidated all passwords.
    pub locked: bool,
    /// Linking tokens that were used of late.
    spent_tokens: Vec<(LinkTokenHash, Timestamp)>,
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Which of the devices that had this id.
    pub generation: Generation,
    /// Its registration id for the account's identity.
    pub registration_id: RegistrationId,
    /// Its registration id for the number's identity.
    pub pni_registration_id: Option<RegistrationId>,
    /// What it says of itself.
    pub traits: DeviceTraits,
    /// When it was last heard of, to the day at best.
    pub last_seen: Timestamp,
}

impl Account {
    /// The account, if it exists and has this device.
    pub fn with_device(&self, device: DeviceId) -> Option<(&Live, &Device)> {
        let live = self.live.as_deref()?;
        Some((live, live.devices.get(&device)?))
    }

    /// Whether the account exists and holds the number.
    pub fn holds(&self, pni: Pni) -> bool {
        self.live.as_ref().is_some_and(|live| live.pni == pni)
    }
}

impl Live {
    /// The addresses of all devices.
    pub fn addresses(&self, aci: Aci) -> impl Iterator<Item = DeviceAddress> + '_ {
        let address = move |(id, device): (&DeviceId, &Device)| device.address(aci, *id);
        self.devices.iter().map(address)
    }

    /// Whether any device has the capability.
    pub fn any_can(&self, capability: Capability) -> bool {
        self.devices.values().any(|device| device.can(capability))
    }

    /// Whether all devices have the capability.
    pub fn all_can(&self, capability: Capability) -> bool {
        self.devices.values().all(|device| device.can(capability))
    }

    /// Whether device 1 has the capability.
    pub fn primary_can(&self, capability: Capability) -> bool {
        self.devices
            .get(&DeviceId::PRIMARY)
            .is_some_and(|primary| primary.can(capability))
    }

    /// When any of the devices was last heard of.
    pub fn last_seen(&self) -> Timestamp {
        self.devices
            .values()
            .map(|device| device.last_seen)
            .max()
            .unwrap_or_default()
    }

    /// Whether the linking token was used.
    pub fn has_spent(&self, token: &LinkTokenHash) -> bool {
        self.spent_tokens.iter().any(|(spent, _)| spent == token)
    }

    /// The public key of one of the identities.
    pub const fn identity_key(&self, kind: IdentityKind) -> Option<&EcPublicKey> {
        match kind {
            IdentityKind::Aci => self.identity.aci.as_ref(),
            IdentityKind::Pni => self.identity.pni.as_ref(),
        }
    }

    /// The key that anonymous senders must know, if there is one.
    pub fn access_key(&self) -> Option<&UnidentifiedAccessKey> {
        self.access.key.as_ref().and_then(Personal::known)
    }

    /// The account's address under one of its identities.
    pub fn service_id(&self, aci: Aci, kind: IdentityKind) -> ServiceId {
        match kind {
            IdentityKind::Aci => aci.into(),
            IdentityKind::Pni => self.pni.into(),
        }
    }
}

impl Device {
    /// Its address.
    pub const fn address(&self, aci: Aci, device: DeviceId) -> DeviceAddress {
        DeviceAddress {
            aci,
            device,
            generation: self.generation,
        }
    }

    /// Whether it has the capability.
    pub fn can(&self, capability: Capability) -> bool {
        self.traits.capabilities.contains(&capability)
    }

    /// Its registration id for one of the account's identities.
    pub const fn registration_id(&self, kind: IdentityKind) -> Option<RegistrationId> {
        match kind {
            IdentityKind::Aci => Some(self.registration_id),
            IdentityKind::Pni => self.pni_registration_id,
        }
    }

    fn joined(device: &NewDevice, at: Timestamp) -> Self {
        Self {
            generation: device.generation,
            registration_id: device.registration_id,
            pni_registration_id: device.pni_registration_id,
            traits: device.traits.clone(),
            last_seen: at,
        }
    }
}

impl Aggregate for Account {
    type Id = Aci;
    type Event = AccountEvent;

    fn stream(aci: Aci) -> StreamId {
        StreamId::account(aci)
    }

    fn evolve(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::AccountRegistered(registered) => self.register(registered, at),
            AccountEvent::AccountReregistered(reregistered) => self.reregister(reregistered, at),
            AccountEvent::AccountDeleted(deleted) => {
                self.live = None;
                self.deleted = Some(Deletion {
                    at,
                    pni: deleted.pni,
                });
            }
            of_a_living_account => {
                if let AccountEvent::DeviceLinked(linked) = of_a_living_account {
                    self.generation = self.generation.max(linked.device.generation);
                }
                if let Some(live) = &mut self.live {
                    live.evolve(of_a_living_account, at);
                }
            }
        }
    }
}

impl Account {
    fn register(&mut self, event: &AccountRegistered, at: Timestamp) {
        self.generation = self.generation.max(event.primary.generation);
        self.live = Some(Box::new(Live {
            pni: event.pni,
            identity: event.identity.clone(),
            devices: BTreeMap::from([(event.primary.id, Device::joined(&event.primary, at))]),
            access: event.access.clone(),
            protection: event.protection.clone(),
            locked: false,
            spent_tokens: Vec::new(),
        }));
    }

    /// Like a registration, but for the recovery password, which outlives it unless a new one came.
    fn reregister(&mut self, event: &AccountReregistered, at: Timestamp) {
        let earlier = self
            .live
            .take()
            .and_then(|live| live.protection.recovery_password);
        let AccountReregistered {
            number,
            pni,
            identity,
            primary,
            access,
            protection,
        } = event.clone();
        let protection = protection.over(earlier);
        self.register(
            &AccountRegistered {
                number,
                pni,
                identity,
                primary,
                access,
                protection,
            },
            at,
        );
    }
}

impl Live {
    fn evolve(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::DeviceLinked(linked) => {
                let device = Device::joined(&linked.device, at);
                self.devices.insert(linked.device.id, device);
                self.spent_tokens
                    .retain(|(_, spent)| at.since(*spent) < SPENT_TOKEN_MEMORY);
                self.spent_tokens.push((linked.token, at));
            }
            AccountEvent::DeviceRemoved(removed) => {
                self.devices.remove(&removed.device);
            }
            AccountEvent::AttributesChanged(changed) => self.change_attributes(changed, at),
            AccountEvent::RegistrationLockFailed(failed) => {
                self.locked = true;
                if !failed.recovery_password_kept {
                    self.protection.recovery_password = None;
                }
            }
            AccountEvent::RecoveryPasswordDropped(_) => self.protection.recovery_password = None,
            AccountEvent::IdentityKeySet(set) => match set.identity {
                IdentityKind::Aci => self.identity.aci = Some(set.key.clone()),
                IdentityKind::Pni => self.identity.pni = Some(set.key.clone()),
            },
            AccountEvent::DeviceSeen(seen) => self.see(seen.device, at),
            AccountEvent::AccountRegistered(_)
            | AccountEvent::AccountReregistered(_)
            | AccountEvent::AccountDeleted(_) => {
                unreachable!("the account itself takes in its beginnings and its end")
            }
        }
    }

    fn change_attributes(&mut self, changed: &AttributesChanged, at: Timestamp) {
        if let Some(device) = self.devices.get_mut(&changed.device) {
            device.traits = changed.traits.clone();
        }
        self.see(changed.device, at);
        self.access = changed.access.clone();
        let earlier = self.protection.recovery_password.take();
        self.protection = changed.protection.clone().over(earlier);
    }

    fn see(&mut self, device: DeviceId, at: Timestamp) {
        if let Some(device) = self.devices.get_mut(&device) {
            device.last_seen = at;
        }
    }
}

/// A missing recovery password leaves the earlier one in force.
trait Over {
    fn over(self, earlier: Option<SaltedHash>) -> Self;
}

impl Over for Protection {
    fn over(self, earlier: Option<SaltedHash>) -> Self {
        Self {
            recovery_password: self.recovery_password.or(earlier),
            ..self
        }
    }
}
