//! What belongs to an account: its devices, the numbers it has had, and the streams that hold their payloads.

use std::collections::BTreeSet;

use events::account::{AccountEvent, NewDevice};
use events::codec::AnyEvent;
use events::ids::DeviceAddress;
use events::personal::Subject;
use events::{
    Aci, DeviceId, EventStore, Generation, Pni, Position, ServiceId, StreamId, Timestamp,
};

use super::{NotErased, facts};

/// One life of one device.
pub(super) type Device = (DeviceId, Generation);

/// What an account had up to a place in the log.
pub(super) struct Belongings {
    aci: Aci,
    devices: BTreeSet<Device>,
    numbers: BTreeSet<Pni>,
    /// When the life before the present one ended.
    deleted_before: Option<Timestamp>,
    deleted: Option<Timestamp>,
}

impl Belongings {
    /// What the account had when the event at `through` came, that event included.
    pub(super) async fn of(
        store: &dyn EventStore,
        aci: Aci,
        through: Position,
    ) -> Result<Self, NotErased> {
        let mut belongings = Self {
            aci,
            devices: BTreeSet::new(),
            numbers: BTreeSet::new(),
            deleted_before: None,
            deleted: None,
        };
        let stream = StreamId::account(aci);
        facts::each(store, &stream, through, |fact| {
            if let AnyEvent::Account(event) = &fact.event {
                belongings.apply(event, fact.metadata.at);
            }
        })
        .await?;
        Ok(belongings)
    }

    /// Only what brings a device or a number, and what ends the account, is of interest here.
    fn apply(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::AccountRegistered(e) => self.holds(e.pni, &e.primary),
            AccountEvent::AccountReregistered(e) => self.holds(e.pni, &e.primary),
            AccountEvent::DeviceLinked(e) => self.has(&e.device),
            // What it had under the earlier number is void by events of its own, and others may have come there since.
            AccountEvent::NumberChanged(e) => {
                self.numbers.remove(&e.former);
                self.numbers.insert(e.pni);
            }
            AccountEvent::AccountDeleted(e) => {
                self.numbers.insert(e.pni);
                self.deleted_before = self.deleted.replace(at);
            }
            _ => {}
        }
    }

    fn holds(&mut self, pni: Pni, primary: &NewDevice) {
        self.numbers.insert(pni);
        self.has(primary);
    }

    fn has(&mut self, device: &NewDevice) {
        self.devices.insert((device.id, device.generation));
    }

    pub(super) const fn aci(&self) -> Aci {
        self.aci
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = Pni> {
        self.numbers.iter().copied()
    }

    /// Whose key protected the personal values of the life that was ended last.
    pub(super) const fn subject(&self) -> Subject {
        Subject::life(self.aci, self.deleted_before)
    }

    /// Devices that came before a generation.
    pub(super) fn devices_before(&self, generation: Generation) -> Vec<Device> {
        let earlier = |(_, it): &&Device| *it < generation;
        self.devices.iter().filter(earlier).copied().collect()
    }

    /// The streams that hold payloads of a device.
    pub(super) fn streams_of(&self, (device, generation): Device) -> Vec<StreamId> {
        let mailbox = StreamId::mailbox(DeviceAddress {
            aci: self.aci,
            device,
            generation,
        });
        let identities = self.numbers.iter().map(|pni| ServiceId::from(*pni));
        let identities = identities.chain([ServiceId::from(self.aci)]);
        let keys = identities.map(|identity| StreamId::keys(identity, device, generation));
        [mailbox].into_iter().chain(keys).collect()
    }

    /// The streams that hold payloads of all devices there ever were.
    pub(super) fn streams(&self) -> Vec<StreamId> {
        let devices = self.devices.iter();
        devices
            .flat_map(|device| self.streams_of(*device))
            .collect()
    }
}
