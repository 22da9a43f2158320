//! What waits for each device, in the order in which it was accepted.

mod apply;
mod query;
mod row;

use events::codec::{AnyEvent, Fact};
use events::ids::DeviceAddress;
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageQueued, MessageSource, Share};
use events::{MessageGuid, PayloadId, PayloadRef, Pni, Position, ServiceId, Timestamp};

pub(crate) use apply::Inbox;
pub use query::InboxQueries;

/// The table.
const TABLE: &str = "inbox_v1";

/// A place in an inbox: everything accepted later lies behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxCursor(pub Position);

/// How much of an inbox to show at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// At most so many messages, and one at least.
    pub rows: u32,
    /// At most so many bytes of content, unless the first message alone has more.
    pub bytes: u64,
}

/// What is known of a message beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place.
    pub cursor: InboxCursor,
    /// The server's name for it.
    pub guid: MessageGuid,
    /// What it is.
    pub kind: EnvelopeKind,
    /// The sender's own timestamp.
    pub client_timestamp: Timestamp,
    /// When it was accepted.
    pub server_timestamp: Timestamp,
    /// Who sent it, unless they sealed that.
    pub source: Option<MessageSource>,
    /// The identity that it was addressed to.
    pub destination: ServiceId,
    /// Whether the device should be woken at once.
    pub urgent: bool,
    /// Whether it belongs to a story.
    pub story: bool,
    /// The number's new pseudonym, when the account has changed its number.
    pub updated_pni: Option<Pni>,
}

/// A stretch of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxPage {
    /// The messages, in the order in which they were accepted.
    pub messages: Vec<Arrival>,
    /// Whether there is more behind it.
    pub more: bool,
}

impl InboxPage {
    /// Where the next page begins: behind the last message of this one. `None` if there was none.
    pub fn reached(&self) -> Option<InboxCursor> {
        self.messages.last().map(|message| message.entry.cursor)
    }
}

/// Where the content of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The payload.
    pub id: PayloadId,
    /// Its length in bytes.
    pub length: u32,
}

impl Content {
    /// What an event says of it.
    pub const fn of(PayloadRef { id, length, .. }: PayloadRef) -> Self {
        Self { id, length }
    }
}

/// A message as its event tells it, whether or not the read model shows it yet. Its content may be erased already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whose it is.
    pub address: DeviceAddress,
    /// What is known of it beside its content.
    pub entry: InboxEntry,
    /// Where its content is.
    pub content: Option<Content>,
    /// Which part of the content is the device's, if not all of it.
    pub share: Option<Share>,
}

impl Arrival {
    /// What a message's event tells; `None` for any other event.
    pub fn of(fact: &Fact) -> Option<Self> {
        let AnyEvent::Mailbox(MailboxEvent::MessageQueued(message)) = &fact.event else {
            return None;
        };
        Some(Self::new(fact, fact.stream.as_mailbox()?, message))
    }

    fn new(fact: &Fact, address: DeviceAddress, message: &MessageQueued) -> Self {
        Self {
            address,
            entry: InboxEntry {
                cursor: InboxCursor(fact.position),
                guid: message.guid,
                kind: message.kind,
                client_timestamp: message.client_timestamp,
                server_timestamp: fact.metadata.at,
                source: message.source,
                destination: message.destination,
                urgent: message.urgent,
                story: message.story,
                updated_pni: message.updated_pni,
            },
            content: message.content.map(Content::of),
            share: message.share,
        }
    }

    /// How many bytes of content are delivered.
    pub fn delivered(&self) -> u32 {
        let length = self.content.map_or(0, |content| content.length);
        self.share.map_or(length, |share| share.delivered(length))
    }
}
