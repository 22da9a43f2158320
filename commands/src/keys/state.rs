//! What rules need to know of a device's pre-keys. The keys themselves are beside the log.

use events::ids::PreKeyId;
use events::keys::{KeysEvent, OneTimePreKeyTaken, PreKeyKind};
use events::store::PayloadSlice;
use events::values::keys::{PageRecord, SignedPreKey};
use events::{DeviceId, Generation, PayloadRef, ServiceId, StreamId, Timestamp};

use crate::aggregate::Aggregate;

/// The pre-keys of one device for one of its account's identities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreKeys {
    /// The signed pre-key.
    pub signed: Option<SignedPreKey>,
    /// The record of the Kyber key of last resort.
    pub last_resort: Option<PayloadRef>,
    /// The one-time Curve25519 keys.
    pub ec: Page,
    /// The one-time Kyber keys.
    pub kyber: Page,
}

/// One-time pre-keys of one kind: those of the last upload, from the first that is not taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    stored: Option<PayloadRef>,
    key_ids: Vec<PreKeyId>,
    taken: usize,
}

impl Page {
    /// How many keys are left.
    pub fn left(&self) -> usize {
        self.key_ids.len() - self.taken
    }

    /// The event that takes the next key, if one is left.
    pub fn take(&self, kind: PreKeyKind) -> Option<OneTimePreKeyTaken> {
        Some(OneTimePreKeyTaken {
            kind,
            key_id: *self.key_ids.get(self.taken)?,
            page: self.stored?.id,
            index: u16::try_from(self.taken).ok()?,
        })
    }
}

/// Where the record of a taken key stands.
pub fn slice_of<R: PageRecord>(taken: &OneTimePreKeyTaken) -> PayloadSlice {
    let length = u32::try_from(R::LEN).expect("a record is short");
    PayloadSlice {
        id: taken.page,
        offset: u32::from(taken.index) * length,
        length,
    }
}

impl PreKeys {
    const fn page_mut(&mut self, kind: PreKeyKind) -> &mut Page {
        match kind {
            PreKeyKind::Ec => &mut self.ec,
            PreKeyKind::Kyber => &mut self.kyber,
        }
    }
}

impl Aggregate for PreKeys {
    type Id = (ServiceId, DeviceId, Generation);
    type Event = KeysEvent;

    fn stream((identity, device, generation): Self::Id) -> StreamId {
        StreamId::keys(identity, device, generation)
    }

    fn evolve(&mut self, event: &KeysEvent, _at: Timestamp) {
        match event {
            KeysEvent::SignedPreKeyRotated(rotated) => self.signed = Some(rotated.key.clone()),
            KeysEvent::LastResortPreKeySet(set) => self.last_resort = Some(set.record),
            KeysEvent::PreKeysUploaded(uploaded) => {
                *self.page_mut(uploaded.kind) = Page {
                    stored: Some(uploaded.page),
                    key_ids: uploaded.key_ids.clone(),
                    taken: 0,
                };
            }
            KeysEvent::PreKeysDropped(_) => *self = Self::default(),
            KeysEvent::OneTimePreKeyTaken(taken) => {
                self.page_mut(taken.kind).taken = usize::from(taken.index) + 1;
            }
        }
    }
}
