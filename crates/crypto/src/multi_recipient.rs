//! Sealed-sender messages to many recipients at once ("sealed sender v2"): one body, sliced for each of them.
//!
//! Nothing is decrypted and nothing copied: a parsed message is a table of offsets into the body, and what goes to a
//! recipient is made of slices that share it.

use std::collections::HashMap;
use std::ops::Range;

use bytes::{Buf, Bytes};
use events::{Aci, DeviceId, Pni, ServiceId};
use uuid::Uuid;

/// Service ids in 17 bytes: kind and UUID.
const WITH_SERVICE_IDS: u8 = 0x23;
/// Service ids in 16 bytes: ACIs only.
const WITH_ACIS: u8 = 0x22;
/// The first byte of what is delivered.
const DELIVERED: Bytes = Bytes::from_static(&[0x22]);
/// Encrypted key (32 bytes) and authentication tag (16).
const KEY_MATERIAL: usize = 48;
/// The ephemeral key with which the shared part begins.
const EPHEMERAL_KEY: usize = 32;
const MORE_DEVICES: u16 = 1 << 15;
const REGISTRATION_ID: u16 = 0x3fff;

/// The most recipients that a message of [`MAX_LEN`] is meant for.
pub const MAX_RECIPIENTS: usize = 5000;
/// The longest body worth reading: an ephemeral key, 256 KiB of ciphertext, and 100 bytes for each possible recipient.
pub const MAX_LEN: usize = EPHEMERAL_KEY + 256 * 1024 + 100 * MAX_RECIPIENTS;

/// A body that is no message to many recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// A version that this server does not read.
    #[error("has an unknown version")]
    Version,
    /// It ends before it should.
    #[error("is cut off")]
    Truncated,
    /// The number of recipients is not in the shortest form, or above 2³²−1.
    #[error("has a malformed number of recipients")]
    Count,
    /// A service id of an unknown kind.
    #[error("has a recipient of an unknown kind")]
    ServiceId,
    /// A device id of 0 after a device, or above 127.
    #[error("has a device id outside of 1 to 127")]
    Device,
    /// A recipient is both excluded and listed, or excluded twice.
    #[error("excludes a recipient that it also lists")]
    ExcludedTwice,
}

/// A well-formed message that may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It is for nobody.
    #[error("has no recipients")]
    NoRecipients,
    /// It is twice for the same device.
    #[error("lists a device twice")]
    DeviceTwice,
}

/// A device that a copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// Which device of the account.
    pub id: DeviceId,
    /// The registration id that the sender knows: 0 to 16383. Another one means that the device was reinstalled.
    pub registration_id: u16,
}

/// A recipient and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient<'a> {
    /// The account.
    pub service_id: ServiceId,
    /// Its devices, as listed.
    pub devices: &'a [Device],
    /// Where in the body its key material begins.
    pub key_material: usize,
    /// What is delivered to each of them.
    pub delivery: Delivery,
}

/// What is delivered to all devices of a recipient: a version byte, its key material, and the shared part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    key_material: Bytes,
    shared: Bytes,
}

impl Delivery {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        DELIVERED.len() + self.key_material.len() + self.shared.len()
    }

    /// Never: there is at least the key material.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The parts, in order. They share the body's memory.
    pub fn parts(&self) -> [Bytes; 3] {
        [DELIVERED, self.key_material.clone(), self.shared.clone()]
    }

    /// The parts as one buffer to read from. It shares the body's memory.
    pub fn reader(&self) -> impl Buf + use<> {
        DELIVERED
            .chain(self.key_material.clone())
            .chain(self.shared.clone())
    }

    /// The whole in memory of its own.
    pub fn to_bytes(&self) -> Bytes {
        self.reader().copy_to_bytes(self.len())
    }
}

/// A parsed message.
#[derive(Clone, Debug)]
pub struct MultiRecipientMessage {
    body: Bytes,
    recipients: Vec<Entries>,
    devices: Vec<Device>,
    excluded: Vec<ServiceId>,
    shared: usize,
}

#[derive(Clone, Debug)]
struct Entries {
    service_id: ServiceId,
    key_material: usize,
    devices: Range<usize>,
}

impl MultiRecipientMessage {
    /// Reads a message (of type `application/vnd.signal-messenger.mrm`).
    ///
    /// A recipient that is listed twice is one recipient with the devices of both, at the place and with the key material
    /// of the first. Memory is proportional to the body, whatever number of recipients it claims.
    pub fn parse(body: Bytes) -> Result<Self, MalformedMessage> {
        let mut cursor = Cursor { body: &body, at: 0 };
        let version = match cursor.bytes() {
            Ok([version @ (WITH_SERVICE_IDS | WITH_ACIS)]) => *version,
            Ok(_) => return Err(MalformedMessage::Version),
            Err(cut_off) => return Err(cut_off),
        };
        let count = cursor.count()?;
        let mut table = Table::with_capacity(cursor.at_most(count));
        for _ in 0..count {
            table.read_recipient(&mut cursor, version)?;
        }
        let shared = cursor.at;
        cursor.take(EPHEMERAL_KEY)?;
        let (recipients, devices, excluded) = table.finish();
        Ok(Self {
            body,
            recipients,
            devices,
            excluded,
            shared,
        })
    }

    /// Whom it is for, in the order of first appearance.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = Recipient<'_>> {
        self.recipients.iter().map(|recipient| Recipient {
            service_id: recipient.service_id,
            devices: &self.devices[recipient.devices.clone()],
            key_material: recipient.key_material,
            delivery: Delivery {
                key_material: self
                    .body
                    .slice(recipient.key_material..recipient.key_material + KEY_MATERIAL),
                shared: self.body.slice(self.shared..),
            },
        })
    }

    /// The message as it came.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Members of the group whom the sender leaves out.
    pub fn excluded(&self) -> &[ServiceId] {
        &self.excluded
    }

    /// Where the part begins that is the same for all.
    pub const fn offset_of_shared_data(&self) -> usize {
        self.shared
    }

    /// Refuses what parses but may not be sent.
    pub fn check_sendable(&self) -> Result<(), Unsendable> {
        if self.recipients.is_empty() {
            return Err(Unsendable::NoRecipients);
        }
        let lists_twice = self.recipients.iter().any(|recipient| {
            let mut seen = 0_u128;
            self.devices[recipient.devices.clone()]
                .iter()
                .any(|device| {
                    let bit = 1 << device.id.get();
                    let again = seen & bit != 0;
                    seen |= bit;
                    again
                })
        });
        if lists_twice {
            Err(Unsendable::DeviceTwice)
        } else {
            Ok(())
        }
    }
}

/// What is known so far. `devices` carry the number of their recipient until all are read.
struct Table {
    /// The number of a recipient; none if it is excluded.
    known: HashMap<ServiceId, Option<usize>>,
    recipients: Vec<Entries>,
    devices: Vec<(usize, Device)>,
    excluded: Vec<ServiceId>,
}

impl Table {
    fn with_capacity(count: usize) -> Self {
        Self {
            known: HashMap::with_capacity(count),
            recipients: Vec::with_capacity(count),
            devices: Vec::with_capacity(count),
            excluded: Vec::new(),
        }
    }

    fn read_recipient(
        &mut self,
        cursor: &mut Cursor<'_>,
        version: u8,
    ) -> Result<(), MalformedMessage> {
        let service_id = cursor.service_id(version)?;
        let Some(first) = cursor.device()? else {
            return self.exclude(service_id);
        };
        let new = self.recipients.len();
        let number = *self.known.entry(service_id).or_insert(Some(new));
        let number = number.ok_or(MalformedMessage::ExcludedTwice)?;

        let mut next = Some(first);
        while let Some((device, more)) = next {
            self.devices.push((number, device));
            next = if more {
                Some(cursor.device()?.ok_or(MalformedMessage::Device)?)
            } else {
                None
            };
        }
        let key_material = cursor.take(KEY_MATERIAL)?.start;
        if number == new {
            self.recipients.push(Entries {
                service_id,
                key_material,
                devices: 0..0,
            });
        }
        Ok(())
    }

    fn exclude(&mut self, service_id: ServiceId) -> Result<(), MalformedMessage> {
        if self.known.insert(service_id, None).is_some() {
            return Err(MalformedMessage::ExcludedTwice);
        }
        self.excluded.push(service_id);
        Ok(())
    }

    /// Puts the devices of each recipient next to each other.
    fn finish(mut self) -> (Vec<Entries>, Vec<Device>, Vec<ServiceId>) {
        if !self.devices.is_sorted_by_key(|(number, _)| *number) {
            self.devices.sort_by_key(|(number, _)| *number);
        }
        let mut start = 0;
        for of_one in self.devices.chunk_by(|(one, _), (other, _)| one == other) {
            self.recipients[of_one[0].0].devices = start..start + of_one.len();
            start += of_one.len();
        }
        (
            self.recipients,
            self.devices.into_iter().map(|(_, device)| device).collect(),
            self.excluded,
        )
    }
}

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The shortest form of a recipient: 16 bytes of id and a byte that excludes it.
    const SHORTEST_RECIPIENT: usize = 17;

    fn take(&mut self, length: usize) -> Result<Range<usize>, MalformedMessage> {
        let taken = self.at..self.at + length;
        if taken.end > self.body.len() {
            return Err(MalformedMessage::Truncated);
        }
        self.at = taken.end;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<&'a [u8; N], MalformedMessage> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let bytes = rest.first_chunk().ok_or(MalformedMessage::Truncated)?;
        self.at += N;
        Ok(bytes)
    }

    /// Reads an unsigned LEB128 number of at most 32 bits, in its shortest form: the official parser misreads what
    /// follows any other.
    fn count(&mut self) -> Result<u32, MalformedMessage> {
        let mut count = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = *self.bytes()?;
            count |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return u32::try_from(count)
                    .ok()
                    .filter(|_| is_shortest)
                    .ok_or(MalformedMessage::Count);
            }
        }
        Err(MalformedMessage::Count)
    }

    /// How many of `count` recipients the rest of the body can hold.
    fn at_most(&self, count: u32) -> usize {
        let possible = (self.body.len() - self.at) / Self::SHORTEST_RECIPIENT;
        usize::try_from(count).unwrap_or(usize::MAX).min(possible)
    }

    fn service_id(&mut self, version: u8) -> Result<ServiceId, MalformedMessage> {
        let kind = if version == WITH_SERVICE_IDS {
            self.bytes::<1>()?[0]
        } else {
            0
        };
        let uuid = Uuid::from_bytes(*self.bytes()?);
        match kind {
            0 => Ok(Aci::from_uuid(uuid).into()),
            1 => Ok(Pni::from_uuid(uuid).into()),
            _ => Err(MalformedMessage::ServiceId),
        }
    }

    /// A device, and whether another one follows; nothing if the device id is 0.
    fn device(&mut self) -> Result<Option<(Device, bool)>, MalformedMessage> {
        let [id] = *self.bytes()?;
        if id == 0 {
            return Ok(None);
        }
        let id = DeviceId::try_from(u32::from(id)).map_err(|_| MalformedMessage::Device)?;
        let field = u16::from_be_bytes(*self.bytes()?);
        Ok(Some((
            Device {
                id,
                registration_id: field & REGISTRATION_ID,
            },
            field & MORE_DEVICES != 0,
        )))
    }
}
