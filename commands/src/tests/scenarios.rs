//! Stories over several commands, told through the executor.

use std::time::Duration;

use bytes::Bytes;
use events::account::Protection;
use events::ids::{DeviceAddress, IdentityKind};
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageSource};
use events::values::{Capability, Redacted};
use events::{AnyEvent, StreamId};

use super::invariants;
use crate::account::delete_account::DeleteAccount;
use crate::account::{Account, Caller};
use crate::device::link_device::LinkDevice;
use crate::device::remove_device::RemoveDevice;
use crate::keys::set_keys::{SetKeys, SetKeysRefused};
use crate::keys::take_pre_keys::{TakePreKeys, TakePreKeysRefused};
use crate::message::acknowledge::{Acknowledge, Delivered};
use crate::message::send_message::{MAX_CONTENT, SendMessage, SendMessageRefused, Sender};
use crate::registration::register_account::{NumberProof, RegisterAccount, RegisterAccountRefused};
use crate::testing::fixtures::{
    Identity, access_key, aci, change_protection, device, ec, link, message, pni, register, salted,
    secret, session, set_keys, take_all,
};
use crate::testing::world::World;

const DAY: Duration = Duration::from_hours(24);

fn recovery(password: &[u8]) -> NumberProof {
    NumberProof::RecoveryPassword(Redacted(password.into()))
}

/// An account with a registration lock and a recovery password.
async fn protected() -> World {
    let world = World::with_people([1]).await;
    let protection = Protection {
        registration_lock: Some(salted("lock")),
        recovery_password: Some(crypto::token_hash::hash_bytes(b"password", [1; 16])),
    };
    world.run(&change_protection(1, protection)).await;
    world
}

#[tokio::test]
async fn a_new_number_gets_the_fresh_account_id() {
    let world = World::default();
    world.verify(1).await;
    let registered = world.run(&register(1)).await;
    assert_eq!((registered.aci, registered.pni), (aci(1), pni(1)));
    assert!(!registered.reregistration && !registered.storage_capable);
    assert_eq!(registered.device.device, device(1));
}

#[tokio::test]
async fn registering_again_keeps_the_account_and_nothing_of_its_devices() {
    let world = World::with_people([1, 2]).await;
    world.link(1, 1).await;
    world.run(&set_keys(1, IdentityKind::Aci, None, 5)).await;
    let before = world.state::<Account>(aci(1)).await;
    let again = RegisterAccount {
        fresh_aci: aci(9),
        ..register(1)
    };
    let registered = world.run(&again).await;
    assert_eq!(registered.aci, aci(1));
    assert!(registered.reregistration && registered.storage_capable);
    assert!(registered.device.generation > before.generation);
    let bundles = world.run(&take_all(aci(1).into(), 2)).await;
    assert_eq!(bundles.devices.len(), 1);
    assert_eq!(bundles.devices[0].one_time, None);
    invariants::hold(&world).await;
}

#[tokio::test]
async fn a_number_brings_its_account_id_back_for_thirty_days() {
    for (days, back) in [(29, true), (30, false)] {
        let world = World::with_people([1]).await;
        world.run(&DeleteAccount { aci: aci(1) }).await;
        world.clock.advance(days * DAY);
        let request = RegisterAccount {
            fresh_aci: aci(9),
            ..register(1)
        };
        assert_eq!(
            world.refused(&request).await,
            RegisterAccountRefused::SessionUnknown
        );
        let proof = NumberProof::Session(session(11));
        world.verify_in(11, 1).await;
        let registered = world.run(&RegisterAccount { proof, ..request }).await;
        assert_eq!(registered.aci == aci(1), back, "after {days} days");
        assert!(!registered.reregistration);
        invariants::hold(&world).await;
    }
}

#[tokio::test]
async fn only_a_verified_session_about_the_same_number_proves_it() {
    let world = World::with_people([1]).await;
    let with = |proof| RegisterAccount {
        proof,
        ..register(2)
    };
    let refused = world
        .refused(&with(NumberProof::Session(session(99))))
        .await;
    assert_eq!(refused, RegisterAccountRefused::SessionUnknown);
    let refused = world.refused(&with(NumberProof::Session(session(1)))).await;
    assert_eq!(refused, RegisterAccountRefused::NumberMismatch);
    world.code_for(12, 2).await;
    let refused = world
        .refused(&with(NumberProof::Session(session(12))))
        .await;
    assert_eq!(refused, RegisterAccountRefused::NotVerified);
}

#[tokio::test]
async fn a_recovery_password_stands_in_for_a_session_until_the_number_is_verified() {
    let world = protected().await;
    let with = |proof| RegisterAccount {
        proof,
        lock_offered: Some(secret("lock")),
        ..register(1)
    };
    let refused = world.refused(&with(recovery(b"wrong"))).await;
    assert_eq!(refused, RegisterAccountRefused::RecoveryPasswordRejected);
    assert!(world.run(&with(recovery(b"password"))).await.reregistration);
    assert!(
        world.run(&with(recovery(b"password"))).await.reregistration,
        "it stays in force"
    );
    world.verify_in(11, 1).await;
    let refused = world.refused(&with(recovery(b"password"))).await;
    assert_eq!(refused, RegisterAccountRefused::RecoveryPasswordRejected);
}

#[tokio::test]
async fn a_failed_registration_lock_locks_the_account_and_is_on_record() {
    let world = protected().await;
    let without = register(1);
    let refused = world.refused(&without).await;
    let RegisterAccountRefused::RegistrationLock { time_remaining } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(time_remaining, 7 * DAY);
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert!(live.locked);
    assert_eq!(live.protection.recovery_password, None);
    let length = world.store.events().len();
    world.refused(&without).await;
    assert_eq!(
        world.store.events().len(),
        length,
        "it cannot be more locked than that"
    );
    let with = RegisterAccount {
        lock_offered: Some(secret("lock")),
        ..register(1)
    };
    world.run(&with).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert!(!live.locked);
    assert_eq!(
        live.protection.registration_lock, None,
        "the new registration set none"
    );
}

#[tokio::test]
async fn proving_by_recovery_password_without_any_lock_spares_the_password() {
    let world = protected().await;
    let by_password = RegisterAccount {
        proof: recovery(b"password"),
        ..register(1)
    };
    world.refused(&by_password).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert!(live.locked && live.protection.recovery_password.is_some());
    let wrong = RegisterAccount {
        lock_offered: Some(secret("wrong")),
        ..by_password
    };
    world.refused(&wrong).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert_eq!(live.protection.recovery_password, None);
}

#[tokio::test]
async fn a_registration_lock_lapses_a_week_after_the_account_was_last_heard_of() {
    let world = protected().await;
    world.clock.advance(7 * DAY);
    world.verify_in(11, 1).await;
    let proof = NumberProof::Session(session(11));
    assert!(
        world
            .run(&RegisterAccount {
                proof,
                ..register(1)
            })
            .await
            .reregistration
    );
}

#[tokio::test]
async fn a_device_that_can_transfer_its_account_is_asked_first() {
    let world = World::default();
    world.verify(1).await;
    let mut first = register(1);
    first
        .device
        .traits
        .capabilities
        .insert(Capability::Transfer);
    world.run(&first).await;
    let refused = world.refused(&register(1)).await;
    assert_eq!(refused, RegisterAccountRefused::TransferPossible);
    world
        .run(&RegisterAccount {
            skip_device_transfer: true,
            ..register(1)
        })
        .await;
}

#[tokio::test]
async fn a_forged_signature_is_refused_before_anything_else() {
    let world = World::default();
    let mut forged = register(1);
    let keys = forged.keys.as_mut().unwrap();
    keys.pni.keys.last_resort.signature = keys.aci.keys.last_resort.signature.clone();
    let refused = world.refused(&forged).await;
    assert_eq!(refused, RegisterAccountRefused::InvalidSignature);
}

#[tokio::test]
async fn linked_devices_take_the_lowest_free_id_and_inherit_nothing() {
    let world = World::with_people([1, 2]).await;
    let ids: Vec<_> = [world.link(1, 1).await, world.link(1, 2).await]
        .map(|a| a.device)
        .into();
    assert_eq!(ids, [device(2), device(3)]);
    let keys = SetKeys {
        device: device(2),
        ..set_keys(1, IdentityKind::Aci, None, 3)
    };
    world.run(&keys).await;
    let remove = RemoveDevice {
        aci: aci(1),
        caller: device(1),
        target: device(2),
    };
    let removed = world.run(&remove).await;
    let linked = world.link(1, 3).await;
    assert_eq!(
        (linked.device, linked.generation > removed.generation),
        (device(2), true)
    );
    let take = TakePreKeys {
        device: Some(device(2)),
        ..take_all(aci(1).into(), 2)
    };
    assert_eq!(world.run(&take).await.devices[0].one_time, None);
}

#[tokio::test]
async fn keys_are_signed_by_the_identity_they_are_for() {
    let world = World::with_people([1]).await;
    let other = SetKeys {
        identity: IdentityKind::Pni,
        ..set_keys(1, IdentityKind::Aci, None, 2)
    };
    assert_eq!(
        world.refused(&other).await,
        SetKeysRefused::InvalidSignature
    );
    let key = Identity::of(2).aci;
    let other = set_keys(1, IdentityKind::Aci, Some(&key), 2);
    assert_eq!(
        world.refused(&other).await,
        SetKeysRefused::OtherIdentityKey
    );
    let swapped = LinkDevice {
        keys: Some(Identity::of(2).linked_keys()),
        ..link(1, 1)
    };
    assert!(world.try_run(&swapped).await.is_err());
}

#[tokio::test]
async fn an_account_without_identity_keys_gets_them_with_its_first_upload() {
    let world = World::with_people([2]).await;
    world.verify(1).await;
    world
        .run(&RegisterAccount {
            keys: None,
            ..register(1)
        })
        .await;
    let take = take_all(aci(1).into(), 2);
    assert_eq!(world.refused(&take).await, TakePreKeysRefused::NotFound);
    let upload = set_keys(1, IdentityKind::Aci, None, 1);
    assert_eq!(world.refused(&upload).await, SetKeysRefused::NoIdentityKey);
    let key = Identity::of(1).aci;
    world
        .run(&set_keys(1, IdentityKind::Aci, Some(&key), 1))
        .await;
    assert_eq!(world.run(&take).await.identity_key, key.public_key());
}

#[tokio::test]
async fn keys_are_handed_out_lowest_first_and_then_the_last_resort() {
    let world = World::with_people([1, 2]).await;
    let upload = SetKeys {
        one_time: [3, 1, 2, 1].map(ec).into(),
        one_time_kyber: [7, 5]
            .map(|id| Identity::of(1).kyber(&Identity::of(1).aci, id))
            .into(),
        ..set_keys(1, IdentityKind::Aci, None, 0)
    };
    world.run(&upload).await;
    let mut taken = Vec::new();
    for _ in 0..4 {
        let bundle = world
            .run(&take_all(aci(1).into(), 2))
            .await
            .devices
            .remove(0);
        let one_time = bundle.one_time.map(|key| key.key_id.get());
        taken.push((one_time, bundle.kyber.unwrap().key_id.get()));
    }
    assert_eq!(
        taken,
        [(Some(1), 7), (Some(2), 5), (Some(3), 51), (None, 51)]
    );
    world.run(&upload).await;
    let bundle = world
        .run(&take_all(aci(1).into(), 2))
        .await
        .devices
        .remove(0);
    assert_eq!(
        bundle.one_time,
        Some(ec(1)),
        "an upload replaces what is left"
    );
}

#[tokio::test]
async fn an_access_key_opens_what_it_belongs_to_and_tells_nothing_else() {
    let world = World::with_people([1, 2]).await;
    let take = |target, caller| TakePreKeys {
        target,
        device: None,
        caller,
    };
    let with_key = |fill| Caller::AccessKey(access_key(fill));
    assert!(
        world
            .try_run(&take(aci(1).into(), with_key(1)))
            .await
            .is_ok()
    );
    for (target, key) in [(aci(1).into(), 2), (pni(1).into(), 1), (aci(77).into(), 1)] {
        let refused = world.refused(&take(target, with_key(key))).await;
        assert_eq!(refused, TakePreKeysRefused::Unauthorized, "{target}");
    }
    let absent = TakePreKeys {
        device: Some(device(5)),
        ..take(aci(1).into(), with_key(1))
    };
    assert_eq!(
        world.refused(&absent).await,
        TakePreKeysRefused::Unauthorized
    );
    let absent = TakePreKeys {
        device: Some(device(5)),
        ..take_all(aci(1).into(), 2)
    };
    assert_eq!(world.refused(&absent).await, TakePreKeysRefused::NotFound);
    assert!(world.try_run(&take_all(pni(1).into(), 2)).await.is_ok());
    let unknown = take_all(aci(77).into(), 2);
    assert_eq!(world.refused(&unknown).await, TakePreKeysRefused::NotFound);
}

#[tokio::test]
async fn a_message_waits_in_the_mailbox_of_each_device() {
    let world = World::with_people([1, 2]).await;
    world.link(1, 1).await;
    world.link(2, 2).await;
    let send = world
        .message_to(1, Sender::Identified(aci(2), device(1)))
        .await;
    let sent = world.run(&send).await;
    assert!(sent.needs_sync && sent.ephemeral.is_empty());
    assert_eq!(sent.queued.len(), 2);
    for ((address, guid), message) in sent.queued.iter().zip(&send.messages) {
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
    let sent = world
        .run(&SendMessage {
            online: true,
            ..send.clone()
        })
        .await;
    assert_eq!(
        (world.store.events().len(), world.store.payload_count()),
        before
    );
    assert!(sent.queued.is_empty() && !sent.needs_sync);
    assert_eq!(sent.ephemeral[0].content, send.messages[0].content);
    assert_eq!(sent.ephemeral[0].envelope.source, None);
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
            devices: vec![device(1)]
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
