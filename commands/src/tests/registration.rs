//! Stories about registration, told through the executor.

use std::sync::Arc;
use std::time::Duration;

use events::account::Protection;
use events::ids::IdentityKind;
use events::ports::Clock as _;
use events::values::totp::{TotpMetadata, TotpSecret};
use events::values::{Capability, Redacted};

use super::invariants;
use crate::account::Account;
use crate::account::delete_account::DeleteAccount;
use crate::registration::register_account::{RegisterAccount, RegisterAccountRefused};
use crate::registration::{NumberProof, Unproved};
use crate::testing::fixtures::{
    aci, change_protection, device, number, pni, register, salted, secret, session, set_keys,
    take_all,
};
use crate::testing::world::World;
use crate::totp::{ConfirmTotpKey, GenerateTotpKey};
use crate::verification::start_session::{StartSession, StartSessionRefused};
use crate::verification::{SessionBudget, VerificationPolicy};

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
            Unproved::SessionUnknown.into()
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
    assert_eq!(refused, Unproved::SessionUnknown.into());
    let refused = world.refused(&with(NumberProof::Session(session(1)))).await;
    assert_eq!(refused, Unproved::NumberMismatch.into());
    world.code_for(12, 2).await;
    let refused = world
        .refused(&with(NumberProof::Session(session(12))))
        .await;
    assert_eq!(refused, Unproved::NotVerified.into());
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
    assert_eq!(refused, Unproved::RecoveryPasswordRejected.into());
    assert!(world.run(&with(recovery(b"password"))).await.reregistration);
    assert!(
        world.run(&with(recovery(b"password"))).await.reregistration,
        "it stays in force"
    );
    world.verify_in(11, 1).await;
    let refused = world.refused(&with(recovery(b"password"))).await;
    assert_eq!(refused, Unproved::RecoveryPasswordRejected.into());
}

#[tokio::test]
async fn a_failed_registration_lock_locks_the_account_and_is_on_record() {
    let world = protected().await;
    let without = register(1);
    let refused = world.refused(&without).await;
    let RegisterAccountRefused::RegistrationLock(locked) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((locked.aci, locked.time_remaining), (aci(1), 7 * DAY));
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
async fn a_one_time_password_is_asked_for_where_the_account_has_a_key() {
    let world = World::with_people([1]).await;
    let key = [7; 32];
    let at = || world.clock.now();
    let with = |one_time_password| RegisterAccount {
        one_time_password,
        ..register(1)
    };
    let unasked = world.refused(&with(Some(1))).await;
    assert_eq!(unasked, RegisterAccountRefused::OneTimePassword);
    let secret = TotpSecret(key);
    world
        .run(&GenerateTotpKey {
            aci: aci(1),
            secret,
        })
        .await;
    world
        .run(&ConfirmTotpKey {
            aci: aci(1),
            password: crypto::totp::password(&key, at()),
            metadata: vec![1; TotpMetadata::LEN].try_into().unwrap(),
        })
        .await;
    let right = crypto::totp::password(&key, at());
    for wrong in [None, Some(right ^ 1)] {
        let refused = world.refused(&with(wrong)).await;
        assert_eq!(refused, RegisterAccountRefused::OneTimePassword);
    }
    world.run(&with(Some(right))).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert!(live.totp.is_empty(), "keys do not outlive a registration");
}

#[tokio::test]
async fn a_number_may_ask_for_five_sessions_and_then_one_by_one() {
    let world = World::default();
    let policy = Arc::new(VerificationPolicy {
        sessions: Some(SessionBudget::default()),
        ..VerificationPolicy::default()
    });
    let start = |s| StartSession {
        session: session(s),
        number: number(1),
        pni: pni(1),
        required: vec![],
        push_challenge: None,
        policy: policy.clone(),
    };
    for s in 1..=5 {
        world.run(&start(s)).await;
        world.run(&start(s)).await;
        let soon = world.refused(&start(s + 1)).await;
        let StartSessionRefused::TooMany { retry_after } = soon;
        assert!(retry_after >= Duration::from_mins(1));
        world.clock.advance(Duration::from_mins(1));
    }
    let StartSessionRefused::TooMany { retry_after } = world.refused(&start(6)).await;
    assert_eq!(retry_after, Duration::from_mins(288 - 5));
    world.clock.advance(retry_after);
    world.run(&start(6)).await;
}
