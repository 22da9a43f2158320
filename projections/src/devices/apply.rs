//! From events to rows of devices.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use events::account::{AccountEvent, DeviceTraits, NewDevice, PushToken};
use events::codec::Fact;
use events::values::{Capabilities, EncryptedDeviceName, Redacted};
use events::{Aci, DeviceId, Family, Generation, Personal, RegistrationId, StreamId, Timestamp};
use sqlx::PgConnection;
use subscription::{CopyIn, InMemory, Need, Shard, Unfit};

use super::{Device, OfferedArchive, TABLE, row};
use crate::copy::copy_in;
use crate::drafts::{Drafts, Entity, Rows};
use crate::read_model::{ReadModel, each_of_accounts, shard_by_account};
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
    /// It told anew what it is, at this time.
    Traits(DeviceTraits, Timestamp),
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
            DevicePatch::Traits(traits, at) => {
                self.last_seen = at;
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

/// What events do to devices: noted for the tables, or done at once in memory.
trait DeviceRows: Rows<Device> {
    /// The account loses all devices.
    fn wipe(&mut self, aci: Aci);

    /// The passwords of the account's devices are void.
    fn lock(&mut self, aci: Aci);
}

/// The keys of an account's devices.
fn of(aci: Aci) -> RangeInclusive<(Aci, DeviceId)> {
    (aci, DeviceId::PRIMARY)..=(aci, DeviceId::MAX)
}

impl Rows<Device> for Changes {
    fn put(&mut self, row: Device) {
        self.drafts.put(row);
    }

    fn remove(&mut self, key: (Aci, DeviceId)) {
        self.drafts.remove(key);
    }

    fn patch(&mut self, key: (Aci, DeviceId), patch: DevicePatch) {
        self.drafts.patch(key, patch);
    }
}

impl DeviceRows for Changes {
    fn wipe(&mut self, aci: Aci) {
        self.drafts.forget(of(aci));
        self.wiped.push(aci);
    }

    /// Rows that are not drafted yet are locked in the table, before any of them is loaded.
    fn lock(&mut self, aci: Aci) {
        self.drafts.patch_drafted(of(aci), || DevicePatch::Locked);
        self.locked.push(aci);
    }
}

impl DeviceRows for BTreeMap<(Aci, DeviceId), Device> {
    fn wipe(&mut self, aci: Aci) {
        self.extract_if(of(aci), |_, _| true).for_each(drop);
    }

    fn lock(&mut self, aci: Aci) {
        for (_, device) in self.range_mut(of(aci)) {
            device.patch(DevicePatch::Locked);
        }
    }
}

fn apply(rows: &mut impl DeviceRows, aci: Aci, at: Timestamp, event: &AccountEvent) {
    match event {
        AccountEvent::AccountRegistered(e) => {
            rows.wipe(aci);
            rows.put(Device::new(aci, &e.primary, at));
        }
        AccountEvent::AccountReregistered(e) => {
            rows.wipe(aci);
            rows.put(Device::new(aci, &e.primary, at));
        }
        AccountEvent::DeviceLinked(e) => rows.put(Device {
            link_token: Some(e.token),
            ..Device::new(aci, &e.device, at)
        }),
        AccountEvent::DeviceRemoved(e) => {
            rows.patch((aci, e.device), DevicePatch::Removed(e.generation));
        }
        AccountEvent::AttributesChanged(e) => {
            let patch = DevicePatch::Traits(e.traits.clone(), at);
            rows.patch((aci, e.device), patch);
        }
        AccountEvent::DeviceCapabilitiesChanged(e) => {
            let patch = DevicePatch::Capabilities(e.capabilities.clone());
            rows.patch((aci, e.device), patch);
        }
        AccountEvent::TransferArchiveOffered(e) => {
            // Without its key nobody will ask for it any more: the account is gone.
            if let Some(archive) = e.archive.known().cloned().map(Redacted) {
                let offered = OfferedArchive { archive, at };
                let patch = DevicePatch::Archive(e.generation, offered);
                rows.patch((aci, e.device), patch);
            }
        }
        AccountEvent::DeviceSeen(e) => {
            rows.patch((aci, e.device), DevicePatch::Seen(at));
        }
        AccountEvent::RegistrationLockFailed(_) => rows.lock(aci),
        AccountEvent::AccountDeleted(_) => rows.wipe(aci),
        AccountEvent::PushTokenChanged(e) => {
            let patch = DevicePatch::Push {
                token: e.push.as_ref().and_then(Personal::known).cloned(),
                agent: e.agent.clone(),
                fetches_messages: false,
            };
            rows.patch((aci, e.device), patch);
        }
        AccountEvent::DeviceFetchesMessages(e) => {
            let patch = DevicePatch::Push {
                token: None,
                agent: e.agent.clone(),
                fetches_messages: true,
            };
            rows.patch((aci, e.device), patch);
        }
        AccountEvent::DeviceRenamed(e) => {
            let name = DevicePatch::Name(e.name.clone());
            rows.patch((aci, e.device), name);
        }
        AccountEvent::NumberChanged(e) => {
            for (device, id) in &e.registration_ids {
                let patch = DevicePatch::PniRegistration(*id);
                rows.patch((aci, *device), patch);
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

#[async_trait]
impl ReadModel for Devices {
    const NAME: &'static str = "devices";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Changes;

    fn needs(_: Family, kind: &str) -> Need {
        match kind {
            "AccessChanged"
            | "IdentityKeySet"
            | "RegistrationLockChanged"
            | "RecoveryPasswordSet"
            | "RecoveryPasswordDropped"
            | "UsernameReservationSet"
            | "UsernameConfirmed"
            | "UsernameDropped"
            | "UsernameLinkChanged"
            | "TotpKeyGenerated"
            | "TotpKeyConfirmed"
            | "TotpKeyMetadataSet"
            | "TotpKeyRemoved"
            | "ZkCredentialKeySet"
            | "BackupRequestsSet"
            | "ChallengeMet" => Need::Nothing,
            "AttributesChanged" | "NumberChanged" => Need::Sealed,
            _ => Need::Clear,
        }
    }

    fn shard(stream: &StreamId) -> Shard {
        shard_by_account(stream)
    }

    fn in_memory() -> Option<Box<dyn InMemory>> {
        Some(whole::in_memory::<Self>())
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        each_of_accounts(facts, |aci, at, event| apply(&mut changes, aci, at, event))?;
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

    fn keep(rows: &mut Self::Rows, facts: &[&Fact]) -> Result<(), Unfit> {
        each_of_accounts(facts, |aci, at, event| apply(rows, aci, at, event))
    }

    fn count(rows: &Self::Rows) -> usize {
        rows.len()
    }

    fn copies(rows: Self::Rows) -> Vec<CopyIn> {
        vec![copy_in(TABLE, rows.into_values())]
    }
}
