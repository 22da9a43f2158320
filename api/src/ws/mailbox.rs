//! What a session asks of the rest of the system on behalf of its device.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commands::message::acknowledge::Delivered;
use events::Position;
use events::mailbox::MessageSource;
use projections::inbox::{Arrival, InboxCursor, InboxEntry};

use crate::contents::InboxMessage;
use crate::ws::frame::Envelope;

/// The mailbox of one device, as its session sees it.
#[async_trait]
pub(crate) trait Mailbox: Send + Sync {
    /// Finds out where the log stands, and whether the device still is who it proved to be, by all that is stored.
    async fn present(&self) -> Result<Present, MailboxUnavailable>;

    /// Waits, bounded, until what is stored up to `position` can be paged. Tells whether it can.
    async fn caught_up(&self, position: Position) -> bool;

    /// What waits behind `after`: not more than fits into `bytes` of content, or one message.
    async fn page(&self, after: Position, bytes: usize) -> Result<Page, MailboxUnavailable>;

    /// Messages with their contents, as far as these are not erased.
    async fn contents(&self, arrivals: &[Arrival])
    -> Result<Vec<InboxMessage>, MailboxUnavailable>;

    /// Records that the device has these messages.
    async fn acknowledge(&self, messages: Vec<Delivered>) -> Result<(), NotAcknowledged>;
}

/// What a session finds when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    /// The position of the last event that was stored.
    pub(crate) head: Position,
    /// Whether the device still is who it proved to be.
    pub(crate) authentic: bool,
}

/// A stretch of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The messages, in the order in which they were accepted, without those that are erased.
    pub(crate) messages: Vec<InboxMessage>,
    /// Where the next page begins, erased messages or not. `None` if there was none.
    pub(crate) reached: Option<InboxCursor>,
    /// Whether there is more behind it.
    pub(crate) more: bool,
}

/// The inbox cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the mailbox cannot be read")]
pub(crate) struct MailboxUnavailable(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

/// Acknowledgements were not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAcknowledged {
    /// For now.
    #[error("acknowledgements have to wait {0:?}")]
    Later(Duration),
    /// At all.
    #[error("acknowledgements cannot be stored")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The message as the device receives it.
pub(crate) fn envelope(entry: &InboxEntry, content: Option<Bytes>) -> Envelope {
    Envelope {
        kind: Some(entry.kind.number().into()),
        client_timestamp: Some(entry.client_timestamp.epoch_millis()),
        source_device: entry.source.map(|source| source.device.into()),
        content,
        server_timestamp: Some(entry.server_timestamp.epoch_millis()),
        urgent: Some(entry.urgent),
        story: entry.story.then_some(true),
        report_spam_token: None,
        source_service_id: entry
            .source
            .map(|MessageSource { service_id, .. }| service_id.to_binary().into()),
        destination_service_id: Some(entry.destination.to_binary().into()),
        server_guid: Some(Bytes::copy_from_slice(entry.guid.as_bytes())),
        updated_pni: entry
            .updated_pni
            .map(|pni| Bytes::copy_from_slice(pni.as_bytes())),
    }
}

/// What an acknowledgement of the message says.
pub(crate) fn delivered(entry: &InboxEntry) -> Delivered {
    Delivered {
        guid: entry.guid,
        kind: entry.kind,
        source: entry.source,
        destination: entry.destination,
        client_timestamp: entry.client_timestamp,
    }
}
