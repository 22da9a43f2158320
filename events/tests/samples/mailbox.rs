//! Samples of events of mailboxes.

use events::mailbox::{
    EnvelopeKind, MailboxEvent, MessageQueued, MessageReported, MessageSource, MessagesDelivered,
    MessagesExpired, Share,
};
use events::{MessageGuid, Timestamp};
use uuid::Uuid;

use super::{aci, device, payload, pni};

fn guid(number: u128) -> MessageGuid {
    MessageGuid::from_uuid(Uuid::from_u128(number))
}

pub(super) fn samples() -> Vec<MailboxEvent> {
    let message = MessageQueued {
        guid: guid(1),
        kind: EnvelopeKind::PreKeyBundle,
        client_timestamp: Timestamp::MAX,
        source: Some(MessageSource {
            service_id: aci().into(),
            device: device(2),
        }),
        destination: pni().into(),
        content: Some(payload(b"ciphertext")),
        share: None,
        urgent: true,
        story: true,
        updated_pni: Some(pni()),
    };
    let receipt = MessageQueued {
        kind: EnvelopeKind::ServerDeliveryReceipt,
        source: None,
        content: None,
        share: None,
        urgent: false,
        story: false,
        updated_pni: None,
        ..message.clone()
    };
    let of_many = MessageQueued {
        kind: EnvelopeKind::UnidentifiedSender,
        source: None,
        share: Some(Share {
            key_material: 20,
            common: 68,
        }),
        story: false,
        updated_pni: None,
        ..message.clone()
    };
    vec![
        message.into(),
        receipt.into(),
        of_many.into(),
        MessagesDelivered {
            guids: vec![guid(1), guid(2)],
        }
        .into(),
        MessagesExpired {
            guids: vec![guid(3)],
        }
        .into(),
        MessageReported {
            guid: guid(4),
            source: aci(),
        }
        .into(),
    ]
}
