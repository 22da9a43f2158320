//! What rules need to know of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use events::account::{
    Access, AccountEvent, AccountRegistered, AccountReregistered, AttributesChanged,
    BackupRequests, DeviceTraits, IdentityKeys, NewDevice, NumberChanged, Protection, PushToken,
};
use events::ids::DeviceAddress;
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use events::values::keys::EcPublicKey;
use events::values::profile::ZkCredentialKey;
use events::{
    Aci, DeviceId, Generation, Personal, Pni, RegistrationId, ServiceId, StreamId, Timestamp,
};

use crate::aggregate::Aggregate;
use crate::number::state::ACI_MEMORY;
use crate::totp::TotpKeys;
use crate::username::Usernames;

/// How long a spent linking token is remembered: twice as long as a token is valid, whatever the clocks of two nodes say.
const SPENT_TOKEN_MEMORY: Duration = Duration::from_mins(20);

/// How long a recovery password is in force after it was last set.
const RECOVERY_PASSWORD_LIFETIME: Duration = Duration::from_hours(300 * 24);

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
    /// When it was registered, or registered again.
    pub registered_at: Timestamp,
    /// The pseudonym of the number that it had before this one, since then.
    pub former_pni: Option<Pni>,
    /// The usernames to which it has a right.
    pub usernames: Usernames,
    /// Its keys for one-time passwords.
    pub totp: TotpKeys,
    /// The key by which credentials for its pictures are bound to it, and what tells it from earlier ones.
    pub zk_credential: Option<(ZkCredentialKey, u64)>,
    /// By which requests it gets credentials of its backups.
    pub backup: BackupRequests,
    /// When the recovery password was last set.
    recovery_password_set_at: Timestamp,
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
    /// How to wake it, unless it fetches its messages by itself.
    pub push: Option<Personal<PushToken>>,
    /// When it was last heard of, to the day at best.
    pub last_seen: Timestamp,
}

impl Account {
    /// The account, if it exists and has this device.
    pub fn with_device(&self, device: DeviceId) -> Option<(&Live, &Device)> {
        let live = self.live.as_deref()?;
        Some((live, live.devices.get(&device)?))
    }

    /// Whether the account was deleted a short while ago, and had this number at its end.
    pub fn ended_with(&self, pni: Pni, at: Timestamp) -> bool {
        let recent = |end: Deletion| end.pni == pni && at.since(end.at) < ACI_MEMORY;
        self.deleted.is_some_and(recent)
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

    /// The recovery password, while it is in force: it lapses if no device confirms it.
    pub fn recovery_password(&self, at: Timestamp) -> Option<&SaltedHash> {
        let password = self.protection.recovery_password.as_ref();
        password.filter(|_| at.since(self.recovery_password_set_at) < RECOVERY_PASSWORD_LIFETIME)
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
            push: device.push.clone(),
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
            registered_at: at,
            former_pni: None,
            usernames: Usernames::default(),
            totp: TotpKeys::default(),
            zk_credential: None,
            backup: BackupRequests::default(),
            recovery_password_set_at: at,
            spent_tokens: Vec::new(),
        }));
    }

    /// Like a registration, but for the recovery password, which outlives it unless a new one came, the username, which is
    /// kept for a while, and what credentials of backups and pictures are bound to.
    fn reregister(&mut self, event: &AccountReregistered, at: Timestamp) {
        let before = self.live.take();
        let AccountReregistered {
            number,
            pni,
            identity,
            primary,
            access,
            protection,
        } = event.clone();
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
        if let (Some(before), Some(live)) = (before, &mut self.live) {
            live.usernames = before.usernames.after_reregistration(at);
            live.backup = before.backup;
            live.zk_credential = before.zk_credential;
            if live.protection.recovery_password.is_none() {
                live.protection.recovery_password = before.protection.recovery_password;
                live.recovery_password_set_at = before.recovery_password_set_at;
            }
        }
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
            AccountEvent::BackupRequestsSet(set) => {
                let requests = set.requests.clone();
                self.backup = std::mem::take(&mut self.backup).updated(requests);
            }
            AccountEvent::IdentityKeySet(set) => match set.identity {
                IdentityKind::Aci => self.identity.aci = Some(set.key.clone()),
                IdentityKind::Pni => self.identity.pni = Some(set.key.clone()),
            },
            AccountEvent::DeviceSeen(seen) => self.see(seen.device, at),
            AccountEvent::PushTokenChanged(changed) => {
                let (push, agent) = (changed.push.as_ref(), changed.agent.as_deref());
                self.change_push(changed.device, push, agent, false);
            }
            AccountEvent::DeviceRenamed(renamed) => {
                if let Some(device) = self.devices.get_mut(&renamed.device) {
                    device.traits.name = Some(renamed.name.clone());
                }
            }
            AccountEvent::NumberChanged(changed) => self.change_number(changed),
            AccountEvent::AccessChanged(changed) => self.access = changed.access.clone(),
            AccountEvent::RegistrationLockChanged(changed) => {
                self.protection.registration_lock.clone_from(&changed.lock);
            }
            AccountEvent::RecoveryPasswordSet(set) => {
                self.protection.recovery_password = Some(set.password.clone());
                self.recovery_password_set_at = at;
            }
            AccountEvent::UsernameReservationSet(set) => self.usernames.reserve(set),
            AccountEvent::UsernameConfirmed(confirmed) => self.usernames.confirm(confirmed),
            AccountEvent::UsernameDropped(dropped) => self.usernames.give_up(dropped),
            AccountEvent::UsernameLinkChanged(changed) => {
                self.usernames.link(changed.link.as_ref());
            }
            AccountEvent::TotpKeyGenerated(generated) => {
                self.totp.pending = generated.key.known().cloned();
            }
            AccountEvent::TotpKeyConfirmed(confirmed) => {
                self.totp
                    .confirm(confirmed.key_id, confirmed.metadata.known());
            }
            AccountEvent::TotpKeyMetadataSet(set) => {
                self.totp.note(set.key_id, set.metadata.known());
            }
            AccountEvent::TotpKeyRemoved(removed) => {
                self.totp.confirmed.remove(&removed.key_id);
            }
            AccountEvent::ZkCredentialKeySet(set) => {
                self.zk_credential = Some((set.key.clone(), set.rotation_id));
            }
            AccountEvent::DeviceFetchesMessages(fetches) => {
                self.change_push(fetches.device, None, fetches.agent.as_deref(), true);
            }
            AccountEvent::DeviceCapabilitiesChanged(changed) => {
                if let Some(device) = self.devices.get_mut(&changed.device) {
                    device.traits.capabilities.clone_from(&changed.capabilities);
                }
            }
            // What was held against it, and what its devices pass to one another, is not kept here.
            AccountEvent::ChallengeMet(_) | AccountEvent::TransferArchiveOffered(_) => {}
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
        self.protection = changed.protection.clone();
        match self.protection.recovery_password {
            Some(_) => self.recovery_password_set_at = at,
            None => self.protection.recovery_password = earlier,
        }
    }

    fn change_push(
        &mut self,
        device: DeviceId,
        push: Option<&Personal<PushToken>>,
        agent: Option<&str>,
        fetches_messages: bool,
    ) {
        if let Some(device) = self.devices.get_mut(&device) {
            device.push = push.cloned();
            device.traits.fetches_messages = fetches_messages;
            if agent.is_some() {
                device.traits.agent = agent.map(Into::into);
            }
        }
    }

    fn change_number(&mut self, changed: &NumberChanged) {
        if changed.pni != changed.former {
            self.former_pni = Some(changed.former);
        }
        self.pni = changed.pni;
        if changed.identity_key.is_some() {
            self.identity.pni.clone_from(&changed.identity_key);
        }
        for (id, registration_id) in &changed.registration_ids {
            if let Some(device) = self.devices.get_mut(id) {
                device.pni_registration_id = Some(*registration_id);
            }
        }
    }

    fn see(&mut self, device: DeviceId, at: Timestamp) {
        if let Some(device) = self.devices.get_mut(&device) {
            device.last_seen = at;
        }
    }
}
