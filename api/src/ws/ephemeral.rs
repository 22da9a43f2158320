//! Messages that are delivered now or never.

use commands::message::send_message::EphemeralEnvelope;
use events::{Position, Timestamp};
use projections::inbox::{InboxCursor, InboxEntry};
use prost::Message as _;

use crate::state::Api;
use crate::ws::mailbox::envelope;

/// Hands messages that were accepted at `at` to the hub, one after the other.
pub(crate) fn deliver_now(
    api: &Api,
    messages: impl IntoIterator<Item = EphemeralEnvelope>,
    at: Timestamp,
) {
    for message in messages {
        let EphemeralEnvelope {
            address,
            envelope: queued,
            content,
        } = message;
        let entry = InboxEntry {
            cursor: InboxCursor(Position::START),
            guid: queued.guid,
            kind: queued.kind,
            client_timestamp: queued.client_timestamp,
            server_timestamp: at,
            source: queued.source,
            destination: queued.destination,
            urgent: queued.urgent,
            story: queued.story,
            updated_pni: queued.updated_pni,
        };
        let bytes = envelope(&entry, Some(content.into_bytes())).encode_to_vec();
        api.hub.deliver_ephemeral(address, bytes.into());
    }
}
