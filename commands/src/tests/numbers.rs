//! Stories about changed numbers, told through the executor.

use std::collections::BTreeMap;
use std::time::Duration;

use events::account::Protection;
use events::ids::IdentityKind;
use events::mailbox::MailboxEvent;
use events::{AnyEvent, StreamId};

use super::invariants;
use crate::account::Account;
use crate::keys::take_pre_keys::TakePreKeysRefused;
use crate::number::change_number::{ChangeNumberRefused, HolderRule, ProofOffered};
use crate::number::{ChangeNumber, Number};
use crate::registration::register_account::RegisterAccount;
use crate::registration::{NumberProof, Unproved};
use crate::testing::fixtures::{
    Identity, aci, change_number, change_protection, device, number, pni, register,
    registration_id, salted, secret, session, set_keys, take_all,
};
use crate::testing::world::World;

/// The first person has two devices and has verified the `m`th number in session 20.
async fn about_to_move(people: impl IntoIterator<Item = u32>, m: u32) -> (World, ChangeNumber) {
    let world = World::with_people(people).await;
    world.link(1, 1).await;
    world.verify_in(20, m).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    let change = change_number(1, m, session(20), &live);
    (world, change)
}

#[tokio::test]
async fn the_account_moves_with_its_devices_and_tells_them() {
    let (world, change) = about_to_move([1, 2], 5).await;
    let before = world.state::<Account>(aci(1)).await.live.unwrap();
    let moved = world.run(&change).await;
    assert_eq!((moved.aci, moved.pni), (aci(1), pni(5)));
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert_eq!(live.pni, pni(5));
    assert_eq!(live.identity.aci, before.identity.aci);
    assert_eq!(live.identity.pni, Some(Identity::of(31).pni.public_key()));
    for (id, device) in &live.devices {
        let expected = registration_id(400 + u32::from(*id));
        assert_eq!(device.pni_registration_id, Some(expected));
        assert_eq!(device.registration_id, before.devices[id].registration_id);
    }
    let mailbox = live.devices[&device(2)].address(aci(1), device(2));
    let queued = world.history(&StreamId::mailbox(mailbox));
    let [AnyEvent::Mailbox(MailboxEvent::MessageQueued(told))] = queued.as_slice() else {
        panic!("{queued:?}");
    };
    assert_eq!(told.updated_pni, Some(pni(5)));
    assert_eq!(told.destination, aci(1).into());
    assert!(told.urgent && told.source.unwrap().device == device(1));
    let refused = world.refused(&take_all(pni(1).into(), 2)).await;
    assert_eq!(refused, TakePreKeysRefused::NotFound);
    invariants::hold(&world).await;
}

#[tokio::test]
async fn whoever_had_the_number_goes_and_may_come_back_under_the_one_that_was_left() {
    let (world, change) = about_to_move([1, 2], 2).await;
    world.run(&change).await;
    assert_eq!(world.state::<Account>(aci(2)).await.live, None);
    world.verify_in(21, 1).await;
    let register = RegisterAccount {
        proof: NumberProof::Session(session(21)),
        number: number(1),
        pni: pni(1),
        fresh_aci: aci(9),
        ..register(2)
    };
    let registered = world.run(&register).await;
    assert_eq!((registered.aci, registered.reregistration), (aci(2), false));
    invariants::hold(&world).await;
}

#[tokio::test]
async fn coming_back_to_an_earlier_number_brings_no_key_back() {
    let (world, there) = about_to_move([1, 2], 5).await;
    world.run(&set_keys(1, IdentityKind::Pni, None, 3)).await;
    world.run(&there).await;
    world.verify_in(22, 1).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    world.run(&change_number(1, 1, session(22), &live)).await;
    let taken = world.run(&take_all(pni(1).into(), 2)).await;
    assert_eq!(taken.identity_key, Identity::of(31).pni.public_key());
    assert!(taken.devices.iter().all(|it| it.one_time.is_none()));
    invariants::hold(&world).await;
}

#[tokio::test]
async fn to_the_same_number_only_the_keys_matter() {
    let (world, change) = about_to_move([1, 2], 5).await;
    let rotate = ChangeNumber {
        number: number(1),
        pni: pni(1),
        proof: ProofOffered::Proof(NumberProof::Session(session(99))),
        waiting_period: Duration::MAX,
        ..change
    };
    world.run(&set_keys(1, IdentityKind::Pni, None, 3)).await;
    world.run(&rotate).await;
    let taken = world.run(&take_all(pni(1).into(), 2)).await;
    assert_eq!(taken.identity_key, Identity::of(31).pni.public_key());
    assert_eq!(taken.devices[0].one_time, None);
    assert_eq!(world.state::<Number>(pni(1)).await.holder, Some(aci(1)));
    invariants::hold(&world).await;
}

#[tokio::test]
async fn a_number_must_be_proved() {
    let (world, change) = about_to_move([1, 2], 5).await;
    let with = |proof| ChangeNumber {
        proof,
        ..change.clone()
    };
    let refused = world.refused(&with(ProofOffered::Missing)).await;
    assert_eq!(refused, ChangeNumberRefused::ProofMissing);
    for (session, unproved) in [
        (session(99), Unproved::SessionUnknown),
        (session(1), Unproved::NumberMismatch),
    ] {
        let proof = ProofOffered::Proof(NumberProof::Session(session));
        assert_eq!(world.refused(&with(proof)).await, unproved.into());
    }
    world.run(&with(ProofOffered::Waived)).await;
}

#[tokio::test]
async fn who_holds_the_number_may_be_respected_or_protected_by_a_lock() {
    let (world, change) = about_to_move([1, 2], 2).await;
    let respect = ChangeNumber {
        holder: HolderRule::Respect,
        ..change.clone()
    };
    assert_eq!(world.refused(&respect).await, ChangeNumberRefused::InUse);
    let protection = Protection {
        registration_lock: Some(salted("lock")),
        recovery_password: Some(crypto::token_hash::hash_bytes(b"password", [1; 16])),
    };
    world.run(&change_protection(2, protection)).await;
    let ChangeNumberRefused::RegistrationLock(locked) = world.refused(&change).await else {
        panic!("the lock holds");
    };
    assert_eq!(locked.aci, aci(2));
    let holder = world.state::<Account>(aci(2)).await.live.unwrap();
    assert!(holder.locked && holder.protection.recovery_password.is_none());
    let opening = ChangeNumber {
        lock_offered: Some(secret("lock")),
        ..change
    };
    world.run(&opening).await;
    assert_eq!(world.state::<Account>(aci(2)).await.live, None);
}

#[tokio::test]
async fn a_freshly_registered_account_waits() {
    let (world, change) = about_to_move([1], 5).await;
    let waiting = ChangeNumber {
        waiting_period: Duration::from_mins(5),
        ..change
    };
    world.clock.advance(Duration::from_mins(4));
    let refused = world.refused(&waiting).await;
    let retry_after = Duration::from_mins(1);
    assert_eq!(refused, ChangeNumberRefused::TooSoon { retry_after });
    world.clock.advance(retry_after);
    world.run(&waiting).await;
}

#[tokio::test]
async fn keys_and_messages_are_for_exactly_the_devices_that_there_are() {
    let (world, change) = about_to_move([1], 5).await;
    let mismatched = |missing: &[u32], extra: &[u32]| ChangeNumberRefused::MismatchedDevices {
        missing: missing.iter().copied().map(device).collect(),
        extra: extra.iter().copied().map(device).collect(),
    };
    let linked = ChangeNumber {
        caller: device(2),
        ..change.clone()
    };
    assert_eq!(
        world.refused(&linked).await,
        ChangeNumberRefused::NotPrimary
    );

    let mut few = change.clone();
    few.keys.as_mut().unwrap().signed.remove(&device(2));
    assert_eq!(world.refused(&few).await, mismatched(&[2], &[]));

    let mut many = change.clone();
    let keys = many.keys.as_mut().unwrap();
    keys.registration_ids.insert(device(3), registration_id(7));
    assert_eq!(world.refused(&many).await, mismatched(&[], &[3]));

    let mut stale = change.clone();
    stale.messages[0].registration_id = Some(1);
    stale.keys.as_mut().unwrap().registration_ids = BTreeMap::new();
    let devices = vec![device(2)];
    let refused = world.refused(&stale).await;
    assert_eq!(refused, ChangeNumberRefused::StaleDevices { devices });

    let mut to_oneself = change.clone();
    to_oneself.messages[0].device = device(1);
    assert_eq!(world.refused(&to_oneself).await, mismatched(&[2], &[1]));

    let mut forged = change.clone();
    forged.identity_key = Some(Identity::of(1).aci.public_key());
    let refused = world.refused(&forged).await;
    assert_eq!(refused, ChangeNumberRefused::InvalidSignature);

    let silent = ChangeNumber {
        messages: Vec::new(),
        ..change
    };
    world.run(&silent).await;
    invariants::hold(&world).await;
}

#[tokio::test]
async fn a_client_that_brings_no_keys_uploads_them_later() {
    let (world, change) = about_to_move([1, 2], 2).await;
    world.run(&set_keys(2, IdentityKind::Pni, None, 3)).await;
    let bare = ChangeNumber {
        keys: None,
        identity_key: None,
        messages: Vec::new(),
        ..change
    };
    world.run(&bare).await;
    let refused = world.refused(&take_all(pni(2).into(), 1)).await;
    assert_eq!(refused, TakePreKeysRefused::NotFound);
    world.run(&set_keys(1, IdentityKind::Pni, None, 2)).await;
    let taken = world.run(&take_all(pni(2).into(), 1)).await;
    assert_eq!(taken.identity_key, Identity::of(1).pni.public_key());
    invariants::hold(&world).await;
}
