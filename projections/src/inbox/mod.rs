//! What waits for each device, in the order in which it was accepted.

mod apply;
mod query;
mod row;

use bytes::Bytes;
use events::ids::DeviceAddress;
use events::mailbox::{EnvelopeKind, MessageSource, Share};
use events::{MessageGuid, Pni, Position, ServiceId, Timestamp};

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

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// What is known of it.
    pub entry: InboxEntry,
    /// The ciphertext; receipts have none.
    pub content: Option<Bytes>,
}

/// A stretch of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxPage {
    /// The messages, in the order in which they were accepted.
    pub messages: Vec<InboxMessage>,
    /// Messages whose content is erased already, so that nobody can deliver them any more.
    pub erased: Vec<MessageGuid>,
    /// Where the next page begins: behind the last message of this one, erased or not. `None` if there was none.
    pub reached: Option<InboxCursor>,
    /// Whether there is more behind it.
    pub more: bool,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    address: DeviceAddress,
    entry: InboxEntry,
    content: Option<events::PayloadRef>,
    /// Which part of the content is the device's, if not all of it.
    share: Option<Share>,
}
