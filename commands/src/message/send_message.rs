//! A message is accepted for the devices of one recipient.

use async_trait::async_trait;
use bytes::Bytes;
use crypto::multi_recipient::Delivery;
use events::ids::DeviceAddress;
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageQueued, MessageSource};
use events::values::hashes::UnidentifiedAccessKey;
use events::{Aci, DeviceId, MessageGuid, PayloadRef, ServiceId, StreamId, Timestamp};

use super::device_check::{WrongDevices, check};
use crate::account::access::Denied;
use crate::account::{Account, Caller, Live};
use crate::command::{Command, Refusal, Stop, Unavailable};
use crate::executor::work::{Loaded, Work};
use crate::number::resolve;

/// The most bytes of ciphertext that one device is sent: 96 KiB.
pub const MAX_CONTENT: usize = 98_304;

/// Puts a message into the mailboxes of the recipient's devices, one ciphertext for each.
#[derive(Clone, Debug)]
pub struct SendMessage {
    /// The recipient, by account or by number.
    pub destination: ServiceId,
    /// Who sends, and by what right.
    pub sender: Sender,
    /// One for each device of the recipient, each device once.
    pub messages: Vec<DeviceMessage>,
    /// The sender's own timestamp, bit for bit.
    pub timestamp: Timestamp,
    /// Whether it is for devices that are connected now, and for nobody later. Such messages never reach the log.
    pub online: bool,
    /// Whether the devices should be woken at once.
    pub urgent: bool,
    /// Whether the sender has to show first that a person is behind it. For the door to judge.
    pub challenged: bool,
}

/// Who sends, and by what right.
#[derive(Clone, Debug)]
pub enum Sender {
    /// A device that proved its password.
    Identified(Aci, DeviceId),
    /// Somebody who shows the recipient's access key.
    Sealed(UnidentifiedAccessKey),
    /// Somebody whose group-send token is good for the recipient, which the door has checked.
    GroupMember,
    /// Anybody, with a story.
    Story,
}

/// The ciphertext for one device.
#[derive(Clone, Debug)]
pub struct DeviceMessage {
    /// The device.
    pub device: DeviceId,
    /// The registration id under which the sender knows the device; any number that was sent, valid or not. `None` if the
    /// sender did not say, and then it is not checked.
    pub registration_id: Option<u32>,
    /// What it is.
    pub kind: EnvelopeKind,
    /// The ciphertext.
    pub content: Bytes,
    /// The server's name for it, minted at the door.
    pub guid: MessageGuid,
}

/// The message was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Whether the sender has other devices that should learn of it.
    pub needs_sync: bool,
    /// What was queued, and for whom.
    pub queued: Vec<(DeviceAddress, MessageGuid)>,
    /// What is for connected devices only. The door hands it to the hub.
    pub ephemeral: Vec<EphemeralEnvelope>,
}

/// A message that is delivered now or never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralEnvelope {
    /// For whom.
    pub address: DeviceAddress,
    /// The envelope; its `content` is [`None`], the bytes stand beside it.
    pub envelope: MessageQueued,
    /// The ciphertext.
    pub content: EphemeralContent,
}

/// The ciphertext of a message that is delivered now or never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EphemeralContent {
    /// For this device alone.
    Own(Bytes),
    /// A share in a message to many, put together for those who are there.
    Shared(Delivery),
}

impl EphemeralContent {
    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(delivery) => delivery.to_bytes(),
        }
    }
}

/// Why a message is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendMessageRefused {
    /// The sender's own account or device is gone.
    #[error("the sender has no account any more")]
    NoSuchSender,
    /// A device sends to its own account by number.
    #[error("sync messages go to the account, not to its number")]
    SyncToOwnNumber,
    /// The recipient does not exist. Those who only show an access key do not learn this.
    #[error("no such recipient")]
    NoSuchRecipient,
    /// The access key does not open the recipient's account, or there is nothing to open.
    #[error("the access key does not open this account")]
    Unauthorized,
    /// The sender has to show first that a person is behind it.
    #[error("the sender has to meet a challenge first")]
    ChallengeRequired,
    /// Devices were left out, or addressed that do not exist.
    #[error("{} devices are missing and {} do not exist", missing.len(), extra.len())]
    MismatchedDevices {
        /// Left out.
        missing: Vec<DeviceId>,
        /// Not there.
        extra: Vec<DeviceId>,
    },
    /// Devices were installed anew since the sender met them.
    #[error("{} devices are stale", devices.len())]
    StaleDevices {
        /// Which.
        devices: Vec<DeviceId>,
        /// Left out besides.
        missing: Vec<DeviceId>,
        /// Not there besides.
        extra: Vec<DeviceId>,
    },
    /// A ciphertext is longer than [`MAX_CONTENT`].
    #[error("a message of {length} bytes is longer than {MAX_CONTENT}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
}

impl Refusal for SendMessageRefused {}

impl From<Denied> for SendMessageRefused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => Self::Unauthorized,
            Denied::NotFound => Self::NoSuchRecipient,
        }
    }
}

impl From<WrongDevices> for SendMessageRefused {
    fn from(wrong: WrongDevices) -> Self {
        match wrong {
            WrongDevices::Mismatched { missing, extra } => {
                Self::MismatchedDevices { missing, extra }
            }
            WrongDevices::Stale {
                devices,
                missing,
                extra,
            } => Self::StaleDevices {
                devices,
                missing,
                extra,
            },
        }
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It goes to the devices.
    Deliver {
        /// Whether the sender has other devices that should learn of it.
        needs_sync: bool,
    },
    /// Nobody gets it, and nobody is told: a story for somebody who does not exist.
    Swallow,
}

impl SendMessage {
    /// The rule. `sender` is the account of an identified sender.
    pub fn decide(
        &self,
        recipient: Option<(Aci, &Live)>,
        sender: Option<&Live>,
    ) -> Result<Acceptance, SendMessageRefused> {
        use SendMessageRefused::{NoSuchRecipient, NoSuchSender, SyncToOwnNumber};
        let mut needs_sync = false;
        let mut own_device = None;
        let account = match (&self.sender, recipient) {
            (Sender::Identified(own, device), recipient) => {
                let own_account = sender.ok_or(NoSuchSender)?;
                if self.destination == own_account.pni.into() {
                    return Err(SyncToOwnNumber);
                }
                let (aci, account) = recipient.ok_or(NoSuchRecipient)?;
                own_device = (aci == *own).then_some(*device);
                needs_sync = own_device.is_none() && own_account.devices.len() > 1;
                account
            }
            (Sender::Sealed(key), recipient) => {
                self.reached_by(&Caller::AccessKey(key.clone()), recipient)?
            }
            (Sender::GroupMember, recipient) => self.reached_by(&Caller::GroupMember, recipient)?,
            (Sender::Story, Some((_, account))) => account,
            (Sender::Story, None) => return Ok(Acceptance::Swallow),
        };
        if self.challenged && own_device.is_none() {
            return Err(SendMessageRefused::ChallengeRequired);
        }
        let addressed = self.messages.iter().map(|m| (m.device, m.registration_id));
        check(account, self.destination.kind(), own_device, addressed)?;
        self.check_size()?;
        Ok(Acceptance::Deliver { needs_sync })
    }

    fn reached_by<'a>(
        &self,
        caller: &Caller,
        recipient: Option<(Aci, &'a Live)>,
    ) -> Result<&'a Live, SendMessageRefused> {
        let account = recipient.map(|(_, account)| account);
        caller.reaches(self.destination, account.map(Live::lock))?;
        account.ok_or(SendMessageRefused::NoSuchRecipient)
    }

    fn check_size(&self) -> Result<(), SendMessageRefused> {
        let longest = self
            .messages
            .iter()
            .map(|message| message.content.len())
            .max();
        match longest {
            Some(length) if length > MAX_CONTENT => Err(SendMessageRefused::TooLarge { length }),
            _ => Ok(()),
        }
    }

    fn envelope(&self, message: &DeviceMessage, content: Option<PayloadRef>) -> MessageQueued {
        let source = match &self.sender {
            Sender::Identified(aci, device) => Some(MessageSource {
                service_id: (*aci).into(),
                device: *device,
            }),
            Sender::Sealed(_) | Sender::GroupMember | Sender::Story => None,
        };
        MessageQueued {
            guid: message.guid,
            kind: message.kind,
            client_timestamp: self.timestamp,
            source,
            destination: self.destination,
            content,
            share: None,
            urgent: self.urgent,
            story: matches!(self.sender, Sender::Story),
            updated_pni: None,
        }
    }

    async fn load_sender(&self, work: &Work<'_>) -> Result<Option<Loaded<Account>>, Unavailable> {
        match self.sender {
            Sender::Identified(aci, _) => work.load::<Account>(aci).await.map(Some),
            Sender::Sealed(_) | Sender::GroupMember | Sender::Story => Ok(None),
        }
    }

    fn deliver(&self, work: &mut Work<'_>, aci: Aci, account: &Live, needs_sync: bool) -> Sent {
        let mut sent = Sent {
            needs_sync,
            ..Sent::default()
        };
        for message in &self.messages {
            let Some(device) = account.devices.get(&message.device) else {
                continue; // The rule has made sure that it is there.
            };
            let address = device.address(aci, message.device);
            if self.online {
                let envelope = self.envelope(message, None);
                let content = EphemeralContent::Own(message.content.clone());
                sent.ephemeral.push(EphemeralEnvelope {
                    address,
                    envelope,
                    content,
                });
            } else {
                let content = work.payload_of(message.guid, message.content.clone());
                let queued = self.envelope(message, Some(content));
                work.record_anywhere(StreamId::mailbox(address), MailboxEvent::from(queued));
                sent.queued.push((address, message.guid));
            }
        }
        sent
    }
}

#[async_trait]
impl Command for SendMessage {
    type Done = Sent;
    type Refused = SendMessageRefused;
    const NAME: &'static str = "SendMessage";

    /// Messages have no invariant with each other, so mailboxes are written wherever they stand. The price: a device that
    /// joins or leaves while the message is being stored is noticed with the next one, where the append has no guards.
    ///
    /// If the append is cut short, some devices have the message and others do not; the sender is told that it failed and
    /// sends again, and devices that get it twice drop the repeat by its timestamp.
    async fn run(&self, work: &mut Work<'_>) -> Result<Sent, Stop<SendMessageRefused>> {
        let (recipient, sender) =
            futures::try_join!(resolve(work, self.destination), self.load_sender(work))?;
        let recipient = recipient
            .as_ref()
            .and_then(|(aci, account)| Some((*aci, account.live.as_deref()?)));
        let sender = sender.as_ref().and_then(|account| account.live.as_deref());
        match (self.decide(recipient, sender)?, recipient) {
            (Acceptance::Deliver { needs_sync }, Some((aci, account))) => {
                Ok(self.deliver(work, aci, account, needs_sync))
            }
            _ => Ok(Sent::default()),
        }
    }
}
