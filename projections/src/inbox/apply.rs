//! From events to rows of inboxes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::ids::DeviceAddress;
use events::mailbox::MailboxEvent;
use events::{Aci, DeviceId, Family, Generation, MessageGuid, Position, StreamId};
use sqlx::PgConnection;
use subscription::{CopyIn, InMemory, Need, Shard, Unfit};

use super::{Arrival, TABLE, row};
use crate::copy::copy_in;
use crate::read_model::{ReadModel, id_of, shard_by_account};
use crate::whole::{self, Whole};

/// The read model.
pub(crate) struct Inbox;

/// Where a message stands: by device, then in the order of acceptance.
type Place = (Aci, DeviceId, Generation, Position);

/// Messages that wait.
#[derive(Default)]
pub(crate) struct Mailboxes {
    waiting: BTreeMap<Place, Arrival>,
    places: HashMap<(DeviceAddress, MessageGuid), Place>,
}

impl Mailboxes {
    /// A guid stands once in a mailbox. The first one counts, as it does in the table.
    fn queue(&mut self, waiting: Arrival) {
        let DeviceAddress {
            aci,
            device,
            generation,
        } = waiting.address;
        let place = (aci, device, generation, waiting.entry.cursor.0);
        let key = (waiting.address, waiting.entry.guid);
        if *self.places.entry(key).or_insert(place) == place {
            self.waiting.insert(place, waiting);
        }
    }

    fn remove(&mut self, address: DeviceAddress, guid: MessageGuid) {
        if let Some(place) = self.places.remove(&(address, guid)) {
            self.waiting.remove(&place);
        }
    }

    fn wipe_device(&mut self, address: DeviceAddress) {
        let place = |position| (address.aci, address.device, address.generation, position);
        self.forget(place(Position::START)..=place(Position(u64::MAX)), |_| true);
    }

    /// Forgets what waits for all generations of an account before this one.
    fn wipe_account(&mut self, aci: Aci, before: Generation) {
        let first = (
            aci,
            DeviceId::PRIMARY,
            Generation::default(),
            Position::START,
        );
        let last = (aci, DeviceId::MAX, Generation(u32::MAX), Position(u64::MAX));
        self.forget(first..=last, |generation| generation < before);
    }

    fn forget(
        &mut self,
        places: std::ops::RangeInclusive<Place>,
        doomed: impl Fn(Generation) -> bool,
    ) {
        let gone = self
            .waiting
            .extract_if(places, |(_, _, generation, _), _| doomed(*generation));
        for (_, waiting) in gone {
            self.places.remove(&(waiting.address, waiting.entry.guid));
        }
    }
}

/// What a stretch of the log does to inboxes.
#[derive(Default)]
pub(crate) struct Changes {
    /// Accounts that lose what waits for all generations before this one.
    wiped_accounts: Vec<(Aci, Generation)>,
    /// Devices that lose all that waits for them.
    wiped_devices: Vec<DeviceAddress>,
    /// Messages that are gone, whichever stretch brought them.
    removed: Vec<(DeviceAddress, MessageGuid)>,
    /// Messages that came, and still wait at the end of the stretch: to be inserted after all that is removed.
    arrived: Mailboxes,
}

impl Changes {
    fn remove(&mut self, address: DeviceAddress, guid: MessageGuid) {
        self.arrived.remove(address, guid);
        // Also when it came in this very stretch: an earlier one may have brought the guid before.
        self.removed.push((address, guid));
    }

    fn apply_mailbox(&mut self, fact: &Fact, address: DeviceAddress, event: &MailboxEvent) {
        match event {
            MailboxEvent::MessageQueued(message) => {
                self.arrived.queue(Arrival::new(fact, address, message));
            }
            MailboxEvent::MessagesDelivered(e) => {
                e.guids.iter().for_each(|guid| self.remove(address, *guid));
            }
            MailboxEvent::MessagesExpired(e) => {
                e.guids.iter().for_each(|guid| self.remove(address, *guid));
            }
            MailboxEvent::MessageReported(_) => {}
        }
    }

    fn apply_account(&mut self, aci: Aci, event: &AccountEvent) {
        match event {
            AccountEvent::AccountReregistered(e) => self.wipe_account(aci, e.primary.generation),
            AccountEvent::AccountDeleted(_) => self.wipe_account(aci, Generation(u32::MAX)),
            AccountEvent::DeviceRemoved(e) => {
                let address = DeviceAddress {
                    aci,
                    device: e.device,
                    generation: e.generation,
                };
                self.arrived.wipe_device(address);
                self.wiped_devices.push(address);
            }
            AccountEvent::AccountRegistered(_)
            | AccountEvent::DeviceLinked(_)
            | AccountEvent::AttributesChanged(_)
            | AccountEvent::RegistrationLockFailed(_)
            | AccountEvent::RecoveryPasswordDropped(_)
            | AccountEvent::IdentityKeySet(_)
            | AccountEvent::RecoveryPasswordSet(_)
            | AccountEvent::RegistrationLockChanged(_)
            | AccountEvent::AccessChanged(_)
            | AccountEvent::PushTokenChanged(_)
            | AccountEvent::DeviceRenamed(_)
            | AccountEvent::UsernameReservationSet(_)
            | AccountEvent::UsernameConfirmed(_)
            | AccountEvent::UsernameDropped(_)
            | AccountEvent::UsernameLinkChanged(_)
            | AccountEvent::TotpKeyGenerated(_)
            | AccountEvent::TotpKeyConfirmed(_)
            | AccountEvent::TotpKeyMetadataSet(_)
            | AccountEvent::TotpKeyRemoved(_)
            | AccountEvent::BackupRequestsSet(_)
            | AccountEvent::NumberChanged(_)
            | AccountEvent::DeviceSeen(_)
            | AccountEvent::ZkCredentialKeySet(_)
            | AccountEvent::DeviceFetchesMessages(_)
            | AccountEvent::ChallengeMet(_)
            | AccountEvent::DeviceCapabilitiesChanged(_)
            | AccountEvent::TransferArchiveOffered(_) => {}
        }
    }

    fn wipe_account(&mut self, aci: Aci, before: Generation) {
        self.arrived.wipe_account(aci, before);
        self.wiped_accounts.push((aci, before));
    }
}

#[async_trait]
impl ReadModel for Inbox {
    const NAME: &'static str = "inbox";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Mailbox, Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];
    /// Most messages go within a few hundredths of a second, to whoever is connected.
    const PACE: Duration = Duration::from_millis(50);

    type Changes = Changes;

    /// Of accounts only what empties mailboxes.
    fn needs(family: Family, kind: &str) -> Need {
        match (family, kind) {
            (
                Family::Account,
                "AccountRegistered"
                | "AttributesChanged"
                | "AccessChanged"
                | "DeviceSeen"
                | "PushTokenChanged"
                | "DeviceFetchesMessages",
            )
            | (Family::Mailbox, "MessageReported") => Need::Nothing,
            _ => Need::Sealed,
        }
    }

    /// All that concerns an account's mailboxes.
    fn shard(stream: &StreamId) -> Shard {
        shard_by_account(stream)
    }

    fn in_memory() -> Option<Box<dyn InMemory>> {
        Some(whole::in_memory::<Self>())
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            match &fact.event {
                AnyEvent::Mailbox(event) => {
                    let address = id_of(fact, fact.stream.as_mailbox())?;
                    changes.apply_mailbox(fact, address, event);
                }
                AnyEvent::Account(event) => {
                    changes.apply_account(id_of(fact, fact.stream.as_account())?, event);
                }
                AnyEvent::Keys(_)
                | AnyEvent::Number(_)
                | AnyEvent::Verification(_)
                | AnyEvent::Operator(_)
                | AnyEvent::Username(_)
                | AnyEvent::Profile(_)
                | AnyEvent::Erasure(_)
                | AnyEvent::Tree(_)
                | AnyEvent::Picture(_) => {}
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        row::wipe_accounts(connection, &changes.wiped_accounts).await?;
        row::wipe_devices(connection, &changes.wiped_devices).await?;
        row::remove(connection, &changes.removed).await?;
        let arrived: Vec<_> = changes.arrived.waiting.values().collect();
        row::insert(connection, &arrived).await
    }
}

impl Whole for Inbox {
    type Rows = Mailboxes;

    fn keep(rows: &mut Mailboxes, facts: &[&Fact]) -> Result<(), Unfit> {
        let changes = Self::fold(facts)?;
        for (aci, before) in changes.wiped_accounts {
            rows.wipe_account(aci, before);
        }
        for address in changes.wiped_devices {
            rows.wipe_device(address);
        }
        for (address, guid) in changes.removed {
            rows.remove(address, guid);
        }
        for waiting in changes.arrived.waiting.into_values() {
            rows.queue(waiting);
        }
        Ok(())
    }

    fn count(rows: &Mailboxes) -> usize {
        rows.waiting.len()
    }

    fn copies(rows: Mailboxes) -> Vec<CopyIn> {
        vec![copy_in(TABLE, rows.waiting.into_values())]
    }
}
