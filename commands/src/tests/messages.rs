//! Stories about messages, told through the executor.

use bytes::Bytes;
use events::ids::DeviceAddress;
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageReported, MessageSource};
use events::{AnyEvent, MessageGuid, StreamId};

use crate::account::Account;
use crate::message::acknowledge::{Acknowledge, Delivered};
use crate::message::report_message::ReportMessage;
use crate::message::send_message::{MAX_CONTENT, SendMessage, SendMessageRefused, Sender};
use crate::testing::fixtures::{access_key, aci, device, message, pni};
use crate::testing::world::World;

#[tokio::test]
async fn a_message_waits_in_the_mailbox_of_each_device() {
    let world = World::with_people([1, 2]).await;
    world.link(1, 1).await;
    world.link(2, 2).await;
    let send = world
        .message_to(1, Sender::Identified(aci(2), device(1)))
        .await;
    let accepted = world.run(&send).await;
    assert!(accepted.needs_sync && accepted.ephemeral.is_empty());
    assert_eq!(accepted.queued.len(), 2);
    for ((address, guid), message) in accepted.queued.iter().zip(&send.messages) {
        let [AnyEvent::Mailbox(MailboxEvent::MessageQueued(queued))] =
            &world.history(&StreamId::mailbox(*address))[..]
        else {
            panic!("one message each")
        };
        assert_eq!(queued.guid, *guid);
        assert_eq!(queued.client_timestamp, send.timestamp);
        let source = MessageSource {
            service_id: aci(2).into(),
            device: device(1),
        };
        assert_eq!(queued.source, Some(source));
        assert_eq!(
            queued.content.unwrap().length as usize,
            message.content.len()
        );
    }
    assert_eq!(
        world.store.payload_count() - payloads_of_registrations(2, 2),
        2
    );
}

/// The last-resort keys: two for each person and each linked device.
fn payloads_of_registrations(people: usize, linked: usize) -> usize {
    2 * (people + linked)
}

#[tokio::test]
async fn online_messages_never_reach_the_log() {
    let world = World::with_people([1, 2]).await;
    let before = (world.store.events().len(), world.store.payload_count());
    let send = world.message_to(1, Sender::Sealed(access_key(1))).await;
    let accepted = world
        .run(&SendMessage {
            online: true,
            ..send.clone()
        })
        .await;
    assert_eq!(
        (world.store.events().len(), world.store.payload_count()),
        before
    );
    assert!(accepted.queued.is_empty() && !accepted.needs_sync);
    let content = accepted.ephemeral[0].content.clone();
    assert_eq!(content.into_bytes(), send.messages[0].content);
    assert_eq!(accepted.ephemeral[0].envelope.source, None);
}

#[tokio::test]
async fn sync_messages_go_to_the_other_devices_and_not_by_number() {
    let world = World::with_people([1]).await;
    let tablet = world.link(1, 1).await;
    let own = Sender::Identified(aci(1), device(1));
    let sent = world.run(&world.message_to(1, own.clone()).await).await;
    assert_eq!(sent.queued[0].0, tablet);
    assert!(!sent.needs_sync);
    let by_number = message(pni(1).into(), own, [(device(2), None)]);
    assert_eq!(
        world.refused(&by_number).await,
        SendMessageRefused::SyncToOwnNumber
    );
}

#[tokio::test]
async fn strangers_to_the_server_are_told_different_things() {
    let world = World::with_people([2]).await;
    let to_nobody = |sender| message(aci(77).into(), sender, [(device(1), Some(1))]);
    let identified = to_nobody(Sender::Identified(aci(2), device(1)));
    assert_eq!(
        world.refused(&identified).await,
        SendMessageRefused::NoSuchRecipient
    );
    let sealed = to_nobody(Sender::Sealed(access_key(1)));
    assert_eq!(
        world.refused(&sealed).await,
        SendMessageRefused::Unauthorized
    );
    let story = world.try_run(&to_nobody(Sender::Story)).await.unwrap();
    assert_eq!((story.position, story.done.queued), (None, vec![]));
}

#[tokio::test]
async fn too_long_messages_are_refused_after_the_devices_were_checked() {
    let world = World::with_people([1, 2]).await;
    let mut send = world.message_to(1, Sender::Sealed(access_key(1))).await;
    send.messages[0].content = Bytes::from(vec![0; MAX_CONTENT + 1]);
    let refused = world.refused(&send).await;
    assert_eq!(
        refused,
        SendMessageRefused::TooLarge {
            length: MAX_CONTENT + 1
        }
    );
    send.messages[0].registration_id = Some(0);
    let refused = world.refused(&send).await;
    assert_eq!(
        refused,
        SendMessageRefused::StaleDevices {
            devices: vec![device(1)],
            missing: vec![],
            extra: vec![],
        }
    );
    send.messages[0].registration_id = None;
    send.messages[0].content = Bytes::from(vec![0; MAX_CONTENT]);
    world.run(&send).await;
}

fn delivered(send: &SendMessage, index: usize, source: Option<MessageSource>) -> Delivered {
    Delivered {
        guid: send.messages[index].guid,
        kind: EnvelopeKind::Ciphertext,
        source,
        destination: send.destination,
        client_timestamp: send.timestamp,
    }
}

async fn receipts_for(delivered: Delivered) -> Vec<Vec<AnyEvent>> {
    let world = World::with_people([1, 2]).await;
    let linked = world.link(2, 1).await;
    let primary = world.state::<Account>(aci(2)).await.live.unwrap().devices[&device(1)]
        .address(aci(2), device(1));
    let reader = world.state::<Account>(aci(1)).await.live.unwrap().devices[&device(1)]
        .address(aci(1), device(1));
    world
        .run(&Acknowledge {
            mailbox: reader,
            messages: vec![delivered],
        })
        .await;
    let mailbox = |address: DeviceAddress| world.history(&StreamId::mailbox(address));
    assert!(matches!(
        &mailbox(reader)[..],
        [AnyEvent::Mailbox(MailboxEvent::MessagesDelivered(_))]
    ));
    vec![mailbox(primary), mailbox(linked)]
}

#[tokio::test]
async fn every_device_of_a_known_sender_gets_a_receipt() {
    let source = MessageSource {
        service_id: aci(2).into(),
        device: device(1),
    };
    let send = message(
        aci(1).into(),
        Sender::Identified(aci(2), device(1)),
        [(device(1), None)],
    );
    for mailbox in receipts_for(delivered(&send, 0, Some(source))).await {
        let [AnyEvent::Mailbox(MailboxEvent::MessageQueued(receipt))] = &mailbox[..] else {
            panic!("one receipt each: {mailbox:?}")
        };
        assert_eq!(receipt.kind, EnvelopeKind::ServerDeliveryReceipt);
        assert_eq!(receipt.client_timestamp, send.timestamp);
        let from = MessageSource {
            service_id: aci(1).into(),
            device: device(1),
        };
        assert_eq!(
            (receipt.source, receipt.destination),
            (Some(from), aci(2).into())
        );
        assert!(!receipt.urgent && receipt.content.is_none());
    }
}

#[tokio::test]
async fn nobody_gets_a_receipt_for_sealed_messages_for_receipts_or_from_themselves() {
    let send = message(aci(1).into(), Sender::Story, [(device(1), None)]);
    let from = |n| {
        Some(MessageSource {
            service_id: aci(n).into(),
            device: device(1),
        })
    };
    let receipt = Delivered {
        kind: EnvelopeKind::ServerDeliveryReceipt,
        ..delivered(&send, 0, from(2))
    };
    for delivered in [
        delivered(&send, 0, None),
        receipt,
        delivered(&send, 0, from(77)),
    ] {
        assert_eq!(receipts_for(delivered).await, [vec![], vec![]]);
    }
    assert_eq!(delivered(&send, 0, from(1)).receipt_to(aci(1)), None);
}

#[tokio::test]
async fn acknowledging_nothing_does_nothing() {
    let world = World::with_people([1]).await;
    let mailbox = DeviceAddress {
        aci: aci(1),
        device: device(1),
        generation: events::Generation(1),
    };
    let executed = world
        .try_run(&Acknowledge {
            mailbox,
            messages: vec![],
        })
        .await
        .unwrap();
    assert_eq!(executed.position, None);
}

#[tokio::test]
async fn reports_are_kept_with_those_who_make_them_and_nobody_reports_themselves() {
    let world = World::with_people([1, 2]).await;
    let by = world.state::<Account>(aci(1)).await.live.unwrap().devices[&device(1)]
        .address(aci(1), device(1));
    let reported = MessageReported {
        guid: MessageGuid::from_random([4; 16]),
        source: aci(2),
    };
    for source in [aci(1), aci(2), aci(9)] {
        world
            .run(&ReportMessage {
                mailbox: by,
                guid: reported.guid,
                source,
            })
            .await;
    }
    let kept = world.history(&StreamId::mailbox(by));
    assert_eq!(kept, [AnyEvent::Mailbox(reported.into())]);
}
