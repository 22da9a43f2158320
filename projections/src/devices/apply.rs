//! From events to rows of devices.

use std::collections::BTreeMap;

use async_trait::async_trait;
use events::account::{AccountEvent, DeviceTraits, NewDevice, PushToken};
use events::codec::{AnyEvent, Fact};
use events::values::{Capabilities, EncryptedDeviceName, Redacted};
use events::{Aci, DeviceId, Family, Generation, Personal, RegistrationId, StreamId, Timestamp};
use sqlx::PgConnection;
use subscription::{CopyIn, InMemory, Shard, Unfit};

use super::{Device, OfferedArchive, TABLE, row};
use crate::columns::number;
use crate::copy::copy_in;
use crate::drafts::{Drafts, Entity};
use crate::read_model::{ReadModel, id_of};
use crate::whole::{self, Whole};

/// The read model.
pub(crate) struct Devices;

/// What a stretch of the log does to devices.
#[derive(Default)]
pub(crate) struct Changes {
    /// Accounts that lose all devices, before anything else is done.
    wiped: Vec<Aci>,
    /// Accounts whose devices' passwords are void, after that.
    locked: Vec<Aci>,
    drafts: Drafts<Device>,
}

pub(crate) enum DevicePatch {
    /// It goes, if it is this one of those that had the number.
    Removed(Generation),
    /// It told anew what it is.
    Traits(DeviceTraits),
    /// It was heard of.
    Seen(Timestamp),
    /// Its password is void.
    Locked,
    /// It is woken in another way, and does not fetch messages by itself.
    Push {
        token: Option<PushToken>,
        agent: Option<Box<str>>,
        fetches_messages: bool,
    },
    Name(EncryptedDeviceName),
    PniRegistration(RegistrationId),
    /// It can do this, and nothing else.
    Capabilities(Capabilities),
    /// It was offered an archive, if it is this one of those that had the number.
    Archive(Generation, OfferedArchive),
}

impl Entity for Device {
    type Key = (Aci, DeviceId);
    type Patch = DevicePatch;

    fn key(&self) -> (Aci, DeviceId) {
        (self.aci, self.id)
    }

    fn patch(&mut self, patch: DevicePatch) -> bool {
        match patch {
            DevicePatch::Removed(generation) => return self.generation != generation,
            DevicePatch::Traits(traits) => {
                self.name = traits.name;
                self.fetches_messages = traits.fetches_messages;
                self.capabilities = traits.capabilities;
                self.agent = traits.agent;
            }
            DevicePatch::Capabilities(capabilities) => self.capabilities = capabilities,
            DevicePatch::Archive(generation, archive) => {
                if generation == self.generation {
                    self.archive = Some(archive);
                }
            }
            DevicePatch::Seen(last_seen) => self.last_seen = last_seen,
            DevicePatch::Locked => self.credential = None,
            DevicePatch::Push {
                token,
                agent,
                fetches_messages,
            } => {
                self.push = token.map(Redacted);
                self.fetches_messages = fetches_messages;
                if agent.is_some() {
                    self.agent = agent;
                }
            }
            DevicePatch::Name(name) => self.name = Some(name),
            DevicePatch::PniRegistration(id) => self.pni_registration_id = Some(id),
        }
        true
    }
}

impl Device {
    fn new(aci: Aci, device: &NewDevice, linked_at: Timestamp) -> Self {
        Self {
            aci,
            id: device.id,
            generation: device.generation,
            registration_id: device.registration_id,
            pni_registration_id: device.pni_registration_id,
            credential: Some(device.credential.clone()),
            name: device.traits.name.clone(),
            fetches_messages: device.traits.fetches_messages,
            capabilities: device.traits.capabilities.clone(),
            agent: device.traits.agent.clone(),
            push: device
                .push
                .as_ref()
                .and_then(Personal::known)
                .cloned()
                .map(Redacted),
            linked_at,
            last_seen: linked_at,
            created_at: device.created_at.clone(),
            link_token: None,
            archive: None,
        }
    }
}

impl Changes {
    fn wipe(&mut self, aci: Aci) {
        self.drafts
            .forget((aci, DeviceId::PRIMARY)..=(aci, DeviceId::MAX));
        self.wiped.push(aci);
    }

    /// Rows that are not drafted yet are locked in the table, before any of them is loaded.
    fn lock(&mut self, aci: Aci) {
        let devices = (aci, DeviceId::PRIMARY)..=(aci, DeviceId::MAX);
        self.drafts.patch_drafted(devices, || DevicePatch::Locked);
        self.locked.push(aci);
    }

    fn apply(&mut self, aci: Aci, at: Timestamp, event: &AccountEvent) {
        match event {
            AccountEvent::AccountRegistered(e) => {
                self.wipe(aci);
                self.drafts.put(Device::new(aci, &e.primary, at));
            }
            AccountEvent::AccountReregistered(e) => {
                self.wipe(aci);
                self.drafts.put(Device::new(aci, &e.primary, at));
            }
            AccountEvent::DeviceLinked(e) => self.drafts.put(Device {
                link_token: Some(e.token),
                ..Device::new(aci, &e.device, at)
            }),
            AccountEvent::DeviceRemoved(e) => {
                self.drafts
                    .patch((aci, e.device), DevicePatch::Removed(e.generation));
            }
            AccountEvent::AttributesChanged(e) => {
                let key = (aci, e.device);
                self.drafts
                    .patch(key, DevicePatch::Traits(e.traits.clone()));
                self.drafts.patch(key, DevicePatch::Seen(at));
            }
            AccountEvent::DeviceCapabilitiesChanged(e) => {
                let patch = DevicePatch::Capabilities(e.capabilities.clone());
                self.drafts.patch((aci, e.device), patch);
            }
            AccountEvent::TransferArchiveOffered(e) => {
                // Without its key nobody will ask for it any more: the account is gone.
                if let Some(archive) = e.archive.known().cloned().map(Redacted) {
                    let offered = OfferedArchive { archive, at };
                    let patch = DevicePatch::Archive(e.generation, offered);
                    self.drafts.patch((aci, e.device), patch);
                }
            }
            AccountEvent::DeviceSeen(e) => {
                self.drafts.patch((aci, e.device), DevicePatch::Seen(at));
            }
            AccountEvent::RegistrationLockFailed(_) => self.lock(aci),
            AccountEvent::AccountDeleted(_) => self.wipe(aci),
            AccountEvent::PushTokenChanged(e) => {
                let patch = DevicePatch::Push {
                    token: e.push.as_ref().and_then(Personal::known).cloned(),
                    agent: e.agent.clone(),
                    fetches_messages: false,
                };
                self.drafts.patch((aci, e.device), patch);
            }
            AccountEvent::DeviceFetchesMessages(e) => {
                let patch = DevicePatch::Push {
                    token: None,
                    agent: e.agent.clone(),
                    fetches_messages: true,
                };
                self.drafts.patch((aci, e.device), patch);
            }
            AccountEvent::DeviceRenamed(e) => {
                let name = DevicePatch::Name(e.name.clone());
                self.drafts.patch((aci, e.device), name);
            }
            AccountEvent::NumberChanged(e) => {
                for (device, id) in &e.registration_ids {
                    let patch = DevicePatch::PniRegistration(*id);
                    self.drafts.patch((aci, *device), patch);
                }
            }
            AccountEvent::RecoveryPasswordDropped(_)
            | AccountEvent::RecoveryPasswordSet(_)
            | AccountEvent::RegistrationLockChanged(_)
            | AccountEvent::AccessChanged(_)
            | AccountEvent::IdentityKeySet(_)
            | AccountEvent::UsernameReservationSet(_)
            | AccountEvent::UsernameConfirmed(_)
            | AccountEvent::UsernameDropped(_)
            | AccountEvent::UsernameLinkChanged(_)
            | AccountEvent::TotpKeyGenerated(_)
            | AccountEvent::TotpKeyConfirmed(_)
            | AccountEvent::TotpKeyMetadataSet(_)
            | AccountEvent::TotpKeyRemoved(_)
            | AccountEvent::ZkCredentialKeySet(_)
            | AccountEvent::BackupRequestsSet(_)
            | AccountEvent::ChallengeMet(_) => {}
        }
    }
}

#[async_trait]
impl ReadModel for Devices {
    const NAME: &'static str = "devices";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Changes;

    fn shard(stream: &StreamId) -> Shard {
        Shard::Of(stream.as_account().map_or(0, |aci| number(aci.uuid())))
    }

    fn in_memory() -> Option<Box<dyn InMemory>> {
        Some(whole::in_memory::<Self>())
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            if let AnyEvent::Account(event) = &fact.event {
                let aci = id_of(fact, fact.stream.as_account())?;
                changes.apply(aci, fact.metadata.at, event);
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        row::wipe(connection, &changes.wiped).await?;
        row::lock(connection, &changes.locked).await?;
        let loaded = row::load(connection, &changes.drafts.wanting()).await?;
        let settled = changes.drafts.settle(loaded);
        row::delete(connection, &settled.deleted).await?;
        row::store(connection, &settled.stored).await
    }
}

impl Whole for Devices {
    type Rows = BTreeMap<(Aci, DeviceId), Device>;

    fn merge(rows: &mut Self::Rows, changes: Changes) {
        let of = |aci| (aci, DeviceId::PRIMARY)..=(aci, DeviceId::MAX);
        for aci in changes.wiped {
            let gone: Vec<_> = rows.range(of(aci)).map(|(key, _)| *key).collect();
            for key in gone {
                rows.remove(&key);
            }
        }
        for aci in changes.locked {
            for (_, device) in rows.range_mut(of(aci)) {
                device.credential = None;
            }
        }
        changes.drafts.settle_in(rows);
    }

    fn count(rows: &Self::Rows) -> usize {
        rows.len()
    }

    fn copies(rows: Self::Rows) -> Vec<CopyIn> {
        vec![copy_in(TABLE, rows.into_values())]
    }
}
