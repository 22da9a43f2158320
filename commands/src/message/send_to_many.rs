//! A message is accepted for the devices of many recipients, who share what is the same for all of them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crypto::access_key::combined_matches;
use crypto::multi_recipient::{MultiRecipientMessage, Recipient};
use events::ids::{DeviceAddress, IdentityKind};
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageQueued, Share};
use events::values::hashes::UnidentifiedAccessKey;
use events::{Aci, DeviceId, MessageGuid, PayloadRef, ServiceId, StreamId, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};

use super::device_check::{Differences, compare};
use super::send_message::{EphemeralContent, EphemeralEnvelope, MAX_CONTENT};
use crate::account::{Account, Live};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::{Loaded, Work};
use crate::number::resolve;

/// How many copies to accept in one go: the log takes 1,000 events at once.
pub const COPIES_AT_ONCE: usize = 900;

/// How many recipients are looked up at a time.
const LOOKUPS: usize = 16;

/// Puts one message into the mailboxes of all devices of its recipients: the body once, and for each device where in it
/// its share stands. Whoever sends to more devices than it serves in one go runs it again from where it has stopped; the first
/// run has checked all recipients.
#[derive(Clone, Debug)]
pub struct SendToMany {
    /// The message. The door has made sure that it may be sent.
    pub message: Arc<MultiRecipientMessage>,
    /// By what right.
    pub right: Right,
    /// The sender's own timestamp, bit for bit.
    pub timestamp: Timestamp,
    /// Whether it is for devices that are connected now, and for nobody later. Such messages never reach the log.
    pub online: bool,
    /// Whether the devices should be woken at once.
    pub urgent: bool,
    /// The number of the first recipient who is not served yet.
    pub from: usize,
    /// How many copies are accepted in one go, or those of one recipient, if there are more: [`COPIES_AT_ONCE`].
    pub at_once: usize,
}

/// By what right somebody sends to many.
#[derive(Clone, Debug)]
pub enum Right {
    /// They show the XOR of the access keys of all recipients who are not unrestricted.
    AccessKeys(UnidentifiedAccessKey),
    /// They show a group-send token for all recipients, which the door has checked.
    GroupMember,
    /// Anybody may, with a story.
    Story,
}

/// The message was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentToMany {
    /// Recipients who do not exist.
    pub unresolved: Vec<ServiceId>,
    /// What is for connected devices only. The door hands it to the hub.
    pub ephemeral: Vec<EphemeralEnvelope>,
    /// The first recipient who is not served yet; nobody if all are.
    pub next: Option<usize>,
}

/// Why the message is not accepted. Nobody gets it then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendToManyRefused {
    /// A recipient does not exist, and the sender shows access keys.
    #[error("a recipient does not exist")]
    NoSuchRecipient,
    /// The access keys do not open the recipients' accounts.
    #[error("the access keys do not open these accounts")]
    Unauthorized,
    /// What one recipient gets is longer than [`MAX_CONTENT`].
    #[error("a message of {length} bytes is longer than {MAX_CONTENT}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// Of these recipients, devices were left out, or addressed that do not exist. This wins over stale ones.
    #[error("{} recipients have other devices", recipients.len())]
    MismatchedDevices {
        /// Who, and what is wrong; also those with stale devices only.
        recipients: Vec<(ServiceId, Differences)>,
    },
    /// Devices of these recipients were installed anew since the sender met them.
    #[error("{} recipients have stale devices", recipients.len())]
    StaleDevices {
        /// Who, and which.
        recipients: Vec<(ServiceId, Vec<DeviceId>)>,
    },
}

impl Refusal for SendToManyRefused {}

/// A recipient, and who that is, if anybody.
type Resolved<'a> = (&'a Recipient<'a>, Option<(Aci, &'a Live)>);

fn live(found: Option<&(Aci, Loaded<Account>)>) -> Option<(Aci, &Live)> {
    let (aci, account) = found?;
    Some((*aci, account.live.as_deref()?))
}

impl SendToMany {
    /// The rule, for recipients and the accounts that they are, if any.
    pub fn decide(&self, recipients: &[Resolved<'_>]) -> Result<(), SendToManyRefused> {
        if let Right::AccessKeys(key) = &self.right {
            check_keys(recipients, key)?;
        }
        let longest = recipients.iter().map(|(it, _)| it.delivery.len()).max();
        if let Some(length) = longest.filter(|length| *length > MAX_CONTENT) {
            return Err(SendToManyRefused::TooLarge { length });
        }
        check_devices(recipients)
    }

    fn envelope(
        &self,
        recipient: &Recipient<'_>,
        guid: MessageGuid,
        content: Option<PayloadRef>,
    ) -> MessageQueued {
        let offset = |at: usize| u32::try_from(at).expect("the body is far below 4 GiB");
        let share = Share {
            key_material: offset(recipient.key_material),
            common: offset(self.message.offset_of_shared_data()),
        };
        MessageQueued {
            guid,
            kind: EnvelopeKind::UnidentifiedSender,
            client_timestamp: self.timestamp,
            source: None,
            destination: recipient.service_id,
            content,
            share: content.map(|_| share),
            urgent: self.urgent,
            story: matches!(self.right, Right::Story),
            updated_pni: None,
        }
    }

    fn deliver(&self, work: &mut Work<'_>, recipients: &[Resolved<'_>]) -> SentToMany {
        let mut sent = SentToMany::default();
        let mut copies = 0;
        let mut body: Option<PayloadRef> = None;
        for (number, (recipient, found)) in recipients.iter().enumerate() {
            let Some((aci, account)) = *found else {
                sent.unresolved.push(recipient.service_id);
                continue;
            };
            copies += recipient.devices.len();
            if copies > self.at_once && number > 0 {
                sent.next = Some(self.from + number);
                break;
            }
            for address in addresses(recipient, aci, account) {
                let guid = MessageGuid::from_random(work.entropy().bytes());
                if self.online {
                    sent.ephemeral.push(EphemeralEnvelope {
                        address,
                        envelope: self.envelope(recipient, guid, None),
                        content: EphemeralContent::Shared(recipient.delivery.clone()),
                    });
                } else {
                    let content = *body
                        .get_or_insert_with(|| work.payload(Bytes::clone(self.message.body())));
                    let queued = self.envelope(recipient, guid, Some(content));
                    work.record_anywhere(StreamId::mailbox(address), MailboxEvent::from(queued));
                }
            }
        }
        sent
    }
}

/// The devices of a recipient that get a copy. The rule has made sure that they are there.
fn addresses<'a>(
    recipient: &'a Recipient<'_>,
    aci: Aci,
    account: &'a Live,
) -> impl Iterator<Item = DeviceAddress> + 'a {
    recipient.devices.iter().filter_map(move |device| {
        let known = account.devices.get(&device.id)?;
        Some(known.address(aci, device.id))
    })
}

/// All recipients must exist, be addressed as accounts, and be opened by the combined key.
fn check_keys(
    recipients: &[Resolved<'_>],
    key: &UnidentifiedAccessKey,
) -> Result<(), SendToManyRefused> {
    let accounts: Option<Vec<_>> = recipients.iter().map(|(_, found)| *found).collect();
    let accounts = accounts.ok_or(SendToManyRefused::NoSuchRecipient)?;
    let by_number =
        |(recipient, _): &(&Recipient<'_>, _)| recipient.service_id.kind() == IdentityKind::Pni;
    let locks = accounts.iter().map(|(_, account)| account.lock());
    if recipients.iter().any(by_number) || !combined_matches(locks, key) {
        return Err(SendToManyRefused::Unauthorized);
    }
    Ok(())
}

fn check_devices(recipients: &[Resolved<'_>]) -> Result<(), SendToManyRefused> {
    let mut wrong = Vec::new();
    for (recipient, found) in recipients {
        let Some((_, account)) = found else { continue };
        let addressed = recipient.devices.iter();
        let addressed = addressed.map(|device| (device.id, Some(device.registration_id.into())));
        let differences = compare(account, recipient.service_id.kind(), None, addressed);
        if differences.are_mismatched() || !differences.stale.is_empty() {
            wrong.push((recipient.service_id, differences));
        }
    }
    if wrong.iter().any(|(_, it)| it.are_mismatched()) {
        Err(SendToManyRefused::MismatchedDevices { recipients: wrong })
    } else if !wrong.is_empty() {
        let stale = wrong.into_iter().map(|(who, it)| (who, it.stale));
        Err(SendToManyRefused::StaleDevices {
            recipients: stale.collect(),
        })
    } else {
        Ok(())
    }
}

#[async_trait]
impl Command for SendToMany {
    type Done = SentToMany;
    type Refused = SendToManyRefused;
    const NAME: &'static str = "SendToMany";

    /// As with messages to one recipient, mailboxes are written wherever they stand. If the append is cut short, some
    /// devices have the message and others do not; the body comes with the first of them.
    async fn run(&self, work: &mut Work<'_>) -> Result<SentToMany, Stop<SendToManyRefused>> {
        let recipients: Vec<_> = self.message.recipients().skip(self.from).collect();
        let looking: &Work<'_> = work;
        let lookups: Vec<_> = recipients
            .iter()
            .map(|recipient| resolve(looking, recipient.service_id))
            .collect();
        let lookups = futures::stream::iter(lookups).buffered(LOOKUPS);
        let accounts: Vec<_> = lookups.try_collect().await?;
        let accounts = accounts.iter().map(|found| live(found.as_ref()));
        let recipients: Vec<_> = recipients.iter().zip(accounts).collect();
        self.decide(&recipients)?;
        Ok(self.deliver(work, &recipients))
    }
}
