//! `mailbox-{aci}.{device}.{generation}`: what waits for one device.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::{Aci, DeviceId, MessageGuid, Pni, ServiceId};
use crate::payload::PayloadRef;
use crate::values::Timestamp;

event_family! {
    /// What can happen in a mailbox.
    MailboxEvent in Mailbox {
        1 MessageQueued { }
        2 MessagesDelivered { }
        3 MessagesExpired { }
        10 MessageReported { }
    }
}

/// A message was accepted for the device. The server's timestamp is the event's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageQueued {
    /// The server's name for it.
    pub guid: MessageGuid,
    /// What it is.
    pub kind: EnvelopeKind,
    /// The sender's own timestamp, bit for bit: receipts name the message by it.
    pub client_timestamp: Timestamp,
    /// Who sent it, unless they sealed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<MessageSource>,
    /// The identity that it was addressed to.
    pub destination: ServiceId,
    /// The ciphertext; receipts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<PayloadRef>,
    /// Which part of the content is for the device; all of it, unless many recipients share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Whether the device should be woken at once.
    pub urgent: bool,
    /// Whether it belongs to a story.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub story: bool,
    /// The number's new pseudonym, when the account has changed its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_pni: Option<Pni>,
}

/// The device has acknowledged these messages; they will not be delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesDelivered {
    /// Which.
    pub guids: Vec<MessageGuid>,
}

/// Nobody fetched these messages in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesExpired {
    /// Which.
    pub guids: Vec<MessageGuid>,
}

/// The device reported a message as spam. What it says is not proved: messages are forgotten once they are delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReported {
    /// Which message.
    pub guid: MessageGuid,
    /// Who is said to have sent it.
    pub source: Aci,
}

/// A recipient's share of a message to many, which is stored once for all of them: what is delivered is the byte `22`
/// (hexadecimal), the recipient's key material, and everything from where the common part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Where the recipient's key material begins: [`Share::KEY_MATERIAL`] bytes.
    pub key_material: u32,
    /// Where the part begins that all recipients have in common. It reaches to the end.
    pub common: u32,
}

impl Share {
    /// The first byte of what is delivered.
    pub const VERSION: u8 = 0x22;
    /// The size of the key material in bytes.
    pub const KEY_MATERIAL: u32 = 48;

    /// How many bytes are delivered of a content of this length.
    pub const fn delivered(self, length: u32) -> u32 {
        1 + Self::KEY_MATERIAL + length.saturating_sub(self.common)
    }

    /// The length of the content of which so many bytes are delivered: the inverse of [`Self::delivered`].
    pub const fn length(self, delivered: u32) -> u32 {
        delivered
            .saturating_sub(1 + Self::KEY_MATERIAL)
            .saturating_add(self.common)
    }
}

/// A sender who said who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSource {
    /// Their identity.
    pub service_id: ServiceId,
    /// Their device.
    pub device: DeviceId,
}

/// The kinds of envelopes, with their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvelopeKind {
    /// A message of which its sender does not say what it is.
    Unknown = 0,
    /// A message in a session.
    Ciphertext = 1,
    /// A message that starts a session.
    PreKeyBundle = 3,
    /// The server's word that a message has arrived.
    ServerDeliveryReceipt = 5,
    /// A message whose sender only the recipient can tell.
    UnidentifiedSender = 6,
    /// A message that could not be encrypted, such as a decryption error.
    PlaintextContent = 8,
}

impl EnvelopeKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Ciphertext,
        Self::PreKeyBundle,
        Self::ServerDeliveryReceipt,
        Self::UnidentifiedSender,
        Self::PlaintextContent,
    ];

    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The kind with this number on the wire.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| i64::from(kind.number()) == number)
    }
}
