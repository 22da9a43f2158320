//! What happens in mailboxes.

use events::mailbox::{
    EnvelopeKind, MailboxEvent, MessageQueued, MessageReported, MessageSource, MessagesDelivered,
    MessagesExpired,
};
use events::{DeviceId, Payload, PayloadId, Timestamp};

use super::{Address, aci, guid, pni};

/// A message, and its ciphertext.
pub fn message(Address(account, ..): Address, n: u32, content: &[u8]) -> (MailboxEvent, Payload) {
    let payload = Payload {
        id: PayloadId(guid(n).uuid()),
        bytes: content.to_vec().into(),
    };
    let sender = MessageSource {
        service_id: aci(n % 7 + 50).into(),
        device: DeviceId::PRIMARY,
    };
    let queued = MessageQueued {
        guid: guid(n),
        kind: EnvelopeKind::Ciphertext,
        client_timestamp: Timestamp::from_epoch_millis(u64::from(n) + 1_000).expect("it is small"),
        source: n.is_multiple_of(2).then_some(sender),
        destination: if n.is_multiple_of(3) {
            pni(account).into()
        } else {
            aci(account).into()
        },
        content: Some(payload.reference()),
        share: None,
        urgent: n.is_multiple_of(2),
        story: n.is_multiple_of(5),
        updated_pni: n.is_multiple_of(7).then(|| pni(account)),
    };
    (queued.into(), payload)
}

/// Messages were acknowledged.
pub fn delivered(messages: &[u32]) -> MailboxEvent {
    MessagesDelivered {
        guids: messages.iter().copied().map(guid).collect(),
    }
    .into()
}

/// Messages were not fetched in time.
pub fn expired(messages: &[u32]) -> MailboxEvent {
    MessagesExpired {
        guids: messages.iter().copied().map(guid).collect(),
    }
    .into()
}

/// A message of account `n` was reported as spam.
pub fn reported(message: u32, n: u32) -> MailboxEvent {
    MessageReported {
        guid: guid(message),
        source: aci(n),
    }
    .into()
}
