//! Every command that writes several streams, cut short at every prefix of its append: the state that is left is legal,
//! and asking again (the same request, or a new one) ends in the state that the command is for.

use std::sync::Arc;
use std::time::Duration;

use events::StreamId;
use events::account::{IdentityKeys, Protection};
use events::ids::IdentityKind;
use events::mailbox::EnvelopeKind;
use events::ports::Clock as _;

use super::{invariants, profiles};
use crate::account::Account;
use crate::account::delete_account::DeleteAccount;
use crate::command::Command;
use crate::executor::{Executed, Failure};
use crate::keys::set_keys::SetKeys;
use crate::message::acknowledge::{Acknowledge, Delivered};
use crate::message::send_message::Sender;
use crate::message::send_to_many::Right;
use crate::number::{ChangeNumber, Number};
use crate::profile::Profile;
use crate::registration::NumberProof;
use crate::registration::register_account::{RegisterAccount, Registered};
use crate::testing::fixtures::{
    Identity, aci, change_number, change_protection, confirm_username, device, link, number, pni,
    register, reserve_username, salted, session, set_keys, take_all, to_many, username,
};
use crate::testing::world::World;
use crate::username::confirm_username::ConfirmUsernameRefused;
use crate::username::state::RESERVATION;
use crate::verification::start_session::StartSession;
use crate::verification::{Session, SessionBudget, VerificationPolicy};

type Outcome<C> = Result<Executed<<C as Command>::Done>, Failure<<C as Command>::Refused>>;

/// Cuts the command's append after each number of streams, from none to all of them, and then asks again.
async fn cut_everywhere<C: Command>(
    streams: usize,
    setup: impl AsyncFn() -> (World, C),
    complete: impl AsyncFn(&World, Outcome<C>, usize),
) {
    for cut in 0..=streams {
        for same_request in [true, false] {
            let (world, command) = setup().await;
            invariants::hold(&world).await;
            let before = world.store.events();
            let request = world.request();
            // Twice: the executor repeats an append whose outcome it does not know.
            world.store.cut_after(cut);
            world.store.cut_after(cut);
            let outcome = world.executor.execute(&command, &request).await;
            assert!(
                matches!(outcome, Err(Failure::Unavailable(_))),
                "cut after {cut} streams"
            );
            assert_eq!(world.store.uncut(), 0);
            let events = world.store.events();
            let mut written: Vec<_> = events[before.len()..].iter().map(|e| &e.stream).collect();
            written.dedup();
            assert_eq!(written.len(), cut, "{} writes {streams} streams", C::NAME);
            invariants::hold(&world).await;
            let request = if same_request {
                request
            } else {
                world.request()
            };
            let outcome = world.executor.execute(&command, &request).await;
            invariants::hold(&world).await;
            complete(&world, outcome, cut).await;
        }
    }
}

async fn is_registered(world: &World, registered: &Registered) {
    assert_eq!(
        world.state::<Number>(pni(1)).await.holder,
        Some(registered.aci)
    );
    let (account, generation) = (
        world.state::<Account>(registered.aci).await,
        registered.device,
    );
    let live = account.live.unwrap();
    assert_eq!(live.devices.len(), 1);
    assert_eq!(live.devices[&device(1)].generation, generation.generation);
    let taken = world.run(&take_all(registered.aci.into(), 2)).await;
    let keys = Identity::of(1).registration_keys();
    assert_eq!(taken.identity_key, keys.aci.identity);
    assert_eq!(taken.devices[0].signed, keys.aci.keys.signed);
}

#[tokio::test]
async fn a_registration() {
    let setup = async || {
        let world = World::with_people([2]).await;
        world.verify(1).await;
        (world, register(1))
    };
    cut_everywhere(4, setup, async |world, outcome, cut| {
        let registered = outcome.unwrap().done;
        assert_eq!(registered.aci, aci(1));
        assert_eq!(registered.reregistration, cut == 4);
        is_registered(world, &registered).await;
    })
    .await;
}

#[tokio::test]
async fn a_registration_that_somebody_else_takes_up() {
    for cut in 0..4 {
        let world = World::with_people([2]).await;
        world.verify(1).await;
        world.store.cut_after(cut);
        world.store.cut_after(cut);
        assert!(world.try_run(&register(1)).await.is_err());
        let other = RegisterAccount {
            fresh_aci: aci(9),
            ..register(1)
        };
        let registered = world.run(&other).await;
        assert!(!registered.reregistration);
        is_registered(&world, &registered).await;
        invariants::hold(&world).await;
    }
}

#[tokio::test]
async fn the_keys_of_a_registration_that_never_came_are_not_inherited() {
    let world = World::with_people([2]).await;
    world.verify(1).await;
    world.store.cut_after(3);
    world.store.cut_after(3);
    assert!(world.try_run(&register(1)).await.is_err());
    let registered = world
        .run(&RegisterAccount {
            keys: None,
            ..register(1)
        })
        .await;
    let live = world.state::<Account>(registered.aci).await.live.unwrap();
    assert_eq!(live.identity, IdentityKeys::default());
    invariants::hold(&world).await;
}

#[tokio::test]
async fn a_reregistration() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.link(1, 1).await;
        (world, register(1))
    };
    cut_everywhere(3, setup, async |world, outcome, _| {
        let registered = outcome.unwrap().done;
        assert!(registered.reregistration);
        assert_eq!(registered.aci, aci(1));
        is_registered(world, &registered).await;
    })
    .await;
}

#[tokio::test]
async fn a_reregistration_that_clears_a_profile() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.run(&profiles::set(1, 1)).await;
        (world, register(1))
    };
    cut_everywhere(4, setup, async |world, outcome, _| {
        is_registered(world, &outcome.unwrap().done).await;
        assert_eq!(world.state::<Profile>(aci(1)).await, Profile::default());
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_clears_a_profile() {
    let setup = async || {
        let world = World::with_people([1]).await;
        world.run(&profiles::set(1, 1)).await;
        (world, DeleteAccount { aci: aci(1) })
    };
    cut_everywhere(3, setup, async |world, outcome, _| {
        assert!(outcome.is_ok());
        assert_eq!(world.state::<Profile>(aci(1)).await, Profile::default());
        assert_eq!(world.state::<Account>(aci(1)).await.live, None);
        assert_eq!(world.state::<Number>(pni(1)).await.holder, None);
    })
    .await;
}

#[tokio::test]
async fn a_registration_after_a_deletion() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.run(&DeleteAccount { aci: aci(1) }).await;
        world.clock.advance(Duration::from_hours(24));
        world.verify_in(31, 1).await;
        let proof = NumberProof::Session(session(31));
        (
            world,
            RegisterAccount {
                proof,
                fresh_aci: aci(7),
                ..register(1)
            },
        )
    };
    cut_everywhere(4, setup, async |world, outcome, _| {
        let registered = outcome.unwrap().done;
        assert_eq!(
            registered.aci,
            aci(1),
            "the number brings its account id back"
        );
        is_registered(world, &registered).await;
    })
    .await;
}

#[tokio::test]
async fn a_verification_that_voids_a_recovery_password() {
    let setup = async || {
        let world = World::with_people([1]).await;
        let protection = Protection {
            recovery_password: Some(salted("recovery")),
            ..Protection::default()
        };
        world.run(&change_protection(1, protection)).await;
        let submit = world.code_for(8, 1).await;
        (world, submit)
    };
    cut_everywhere(2, setup, async |world, outcome, cut| {
        assert_eq!(
            outcome.is_err(),
            cut == 2,
            "a second try after success is refused"
        );
        assert!(world.state::<Session>(session(8)).await.facts.verified);
        let live = world.state::<Account>(aci(1)).await.live.unwrap();
        assert_eq!(live.protection.recovery_password, None);
    })
    .await;
}

#[tokio::test]
async fn linking_a_device() {
    let setup = async || (World::with_people([1, 2]).await, link(1, 1));
    cut_everywhere(3, setup, async |world, outcome, cut| {
        assert_eq!(outcome.is_err(), cut == 3, "the token is spent by then");
        let live = world.state::<Account>(aci(1)).await.live.unwrap();
        assert_eq!(live.devices.len(), 2);
        let taken = world.run(&take_all(aci(1).into(), 2)).await;
        assert_eq!(taken.devices.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn deleting_an_account() {
    let setup = async || {
        (
            World::with_people([1, 2]).await,
            DeleteAccount { aci: aci(1) },
        )
    };
    cut_everywhere(2, setup, async |world, outcome, _| {
        outcome.unwrap();
        assert_eq!(world.state::<Account>(aci(1)).await.live, None);
        assert_eq!(world.state::<Number>(pni(1)).await.holder, None);
    })
    .await;
}

#[tokio::test]
async fn a_number_whose_release_was_cut_off_can_be_registered_again() {
    let world = World::with_people([1, 2]).await;
    world.store.cut_after(1);
    world.store.cut_after(1);
    assert!(world.try_run(&DeleteAccount { aci: aci(1) }).await.is_err());
    let registered = world
        .run(&RegisterAccount {
            fresh_aci: aci(7),
            ..register(1)
        })
        .await;
    assert_eq!((registered.aci, registered.reregistration), (aci(1), false));
    invariants::hold(&world).await;
}

#[tokio::test]
async fn the_first_keys_of_an_account_that_was_registered_without() {
    let setup = async || {
        let world = World::with_people([2]).await;
        world.verify(1).await;
        world
            .run(&RegisterAccount {
                keys: None,
                ..register(1)
            })
            .await;
        let identity = Identity::of(1);
        (
            world,
            set_keys(1, IdentityKind::Aci, Some(&identity.aci), 3),
        )
    };
    cut_everywhere(2, setup, async |world, outcome, _| {
        outcome.unwrap();
        let taken = world.run(&take_all(aci(1).into(), 2)).await;
        assert_eq!(taken.devices[0].one_time.as_ref().unwrap().key_id.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn taking_keys_of_two_devices() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.link(1, 1).await;
        world.run(&set_keys(1, IdentityKind::Aci, None, 3)).await;
        let linked = set_keys(1, IdentityKind::Aci, None, 3);
        world
            .run(&SetKeys {
                device: device(2),
                ..linked
            })
            .await;
        (world, take_all(aci(1).into(), 2))
    };
    cut_everywhere(2, setup, async |_, outcome, _| {
        let bundles = outcome.unwrap().done;
        assert!(
            bundles
                .devices
                .iter()
                .all(|bundle| bundle.one_time.is_some())
        );
    })
    .await;
}

#[tokio::test]
async fn a_message_to_two_devices() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.link(1, 1).await;
        let message = world
            .message_to(1, Sender::Identified(aci(2), device(1)))
            .await;
        (world, message)
    };
    cut_everywhere(2, setup, async |world, outcome, _| {
        let sent = outcome.unwrap().done;
        assert_eq!(sent.queued.len(), 2);
        for (address, _) in sent.queued {
            assert!(!world.history(&StreamId::mailbox(address)).is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_to_many() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.link(1, 1).await;
        let recipients: [(_, &[_]); 2] = [
            (aci(1).into(), &[(1, 100), (2, 201)]),
            (aci(2).into(), &[(1, 100)]),
        ];
        (world, to_many(Right::GroupMember, &recipients))
    };
    cut_everywhere(3, setup, async |world, outcome, _| {
        outcome.unwrap();
        for n in [1, 2] {
            let live = world.state::<Account>(aci(n)).await.live.unwrap();
            for address in live.addresses(aci(n)) {
                assert!(!world.history(&StreamId::mailbox(address)).is_empty());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_acknowledgement_with_receipts() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.link(2, 1).await;
        let message = world
            .message_to(1, Sender::Identified(aci(2), device(1)))
            .await;
        let sent = world.run(&message).await;
        let (mailbox, guid) = sent.queued[0];
        let delivered = Delivered {
            guid,
            kind: EnvelopeKind::Ciphertext,
            source: Some(events::mailbox::MessageSource {
                service_id: aci(2).into(),
                device: device(1),
            }),
            destination: aci(1).into(),
            client_timestamp: message.timestamp,
        };
        (
            world,
            Acknowledge {
                mailbox,
                messages: vec![delivered],
            },
        )
    };
    cut_everywhere(3, setup, async |world, outcome, _| {
        outcome.unwrap();
        let live = world.state::<Account>(aci(2)).await.live.unwrap();
        for address in live.addresses(aci(2)) {
            assert!(!world.history(&StreamId::mailbox(address)).is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn reserving_a_username() {
    let setup = async || (World::with_people([1, 2]).await, reserve_username(1, &[7]));
    cut_everywhere(2, setup, async |world, outcome, _| {
        assert_eq!(outcome.unwrap().done, username(7));
        world.run(&confirm_username(1, 7)).await;
        let refused = world.try_run(&reserve_username(2, &[7])).await;
        assert!(refused.is_err());
    })
    .await;
}

#[tokio::test]
async fn confirming_a_username_in_the_place_of_another() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.run(&reserve_username(1, &[7])).await;
        world.run(&confirm_username(1, 7)).await;
        world.run(&reserve_username(1, &[8])).await;
        (world, confirm_username(1, 8))
    };
    cut_everywhere(2, setup, async |world, outcome, _| {
        assert_eq!(outcome.unwrap().done.hash, username(8));
        let live = world.state::<Account>(aci(1)).await.live.unwrap();
        assert!(live.usernames.has(username(8)));
        let refused = world.try_run(&reserve_username(2, &[7, 8])).await;
        assert!(refused.is_err(), "one is the account's, one is held for it");
    })
    .await;
}

#[tokio::test]
async fn a_username_whose_confirmation_was_cut_off_is_free_again_after_a_while() {
    let world = World::with_people([1, 2]).await;
    world.run(&reserve_username(1, &[7])).await;
    world.store.cut_after(1);
    world.store.cut_after(1);
    assert!(world.try_run(&confirm_username(1, 7)).await.is_err());
    assert!(world.try_run(&reserve_username(2, &[7])).await.is_err());
    world.clock.advance(RESERVATION);
    world.run(&reserve_username(2, &[7])).await;
    world.run(&confirm_username(2, 7)).await;
    let refused = world.refused(&confirm_username(1, 7)).await;
    assert_eq!(refused, ConfirmUsernameRefused::Taken);
    invariants::hold(&world).await;
}

#[tokio::test]
async fn deleting_an_account_that_has_a_username() {
    let setup = async || {
        let world = World::with_people([1, 2]).await;
        world.run(&reserve_username(1, &[7])).await;
        world.run(&confirm_username(1, 7)).await;
        (world, DeleteAccount { aci: aci(1) })
    };
    cut_everywhere(3, setup, async |world, outcome, _| {
        outcome.unwrap();
        assert_eq!(world.state::<Number>(pni(1)).await.holder, None);
        // Where the release was cut off, the claim stands for as long as a reservation does.
        world.clock.advance(RESERVATION);
        world.run(&reserve_username(2, &[7])).await;
    })
    .await;
}

#[tokio::test]
async fn a_counted_verification_session() {
    let setup = async || {
        let counting = VerificationPolicy {
            sessions: Some(SessionBudget::default()),
            ..VerificationPolicy::default()
        };
        let start = StartSession {
            session: session(9),
            number: number(1),
            pni: pni(1),
            required: vec![],
            push_challenge: None,
            policy: Arc::new(counting),
        };
        (World::default(), start)
    };
    cut_everywhere(2, setup, async |world, outcome, cut| {
        // What was counted stays counted: the number may ask again a minute later.
        if cut == 1 && outcome.is_err() {
            assert!(world.state::<Session>(session(9)).await.subject.is_none());
        } else {
            assert!(world.state::<Session>(session(9)).await.subject.is_some());
        }
    })
    .await;
}

/// The first person moves to the number of the second, with a linked device, keys and a message for it.
async fn moving() -> (World, ChangeNumber) {
    let world = World::with_people([1, 2]).await;
    world.run(&reserve_username(2, &[7])).await;
    world.run(&confirm_username(2, 7)).await;
    world.link(1, 1).await;
    world.run(&set_keys(2, IdentityKind::Pni, None, 3)).await;
    world.verify_in(20, 2).await;
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    (world, change_number(1, 2, session(20), &live))
}

async fn has_moved(world: &World) {
    let live = world.state::<Account>(aci(1)).await.live.unwrap();
    assert_eq!(live.pni, pni(2));
    assert_eq!(world.state::<Account>(aci(2)).await.live, None);
    assert_eq!(world.state::<Number>(pni(2)).await.holder, Some(aci(1)));
    let left = world.state::<Number>(pni(1)).await;
    assert_eq!(left.holder, None);
    assert_eq!(left.returning(world.clock.now()), Some(aci(2)));
    let taken = world.run(&take_all(pni(2).into(), 1)).await;
    assert_eq!(taken.identity_key, Identity::of(31).pni.public_key());
    assert_eq!(taken.devices.len(), 2);
    assert!(taken.devices.iter().all(|it| it.one_time.is_none()));
}

#[tokio::test]
async fn moving_to_the_number_of_another_account() {
    // The other account, its username, the claim, keys of two devices, the account, its devices' earlier keys, its
    // earlier number, a mailbox.
    cut_everywhere(10, moving, async |world, outcome, _| {
        assert_eq!(outcome.unwrap().done.pni, pni(2));
        has_moved(world).await;
    })
    .await;
}

#[tokio::test]
async fn a_number_whose_change_was_cut_off_can_be_registered() {
    for cut in 0..=10 {
        let (world, change) = moving().await;
        world.store.cut_after(cut);
        world.store.cut_after(cut);
        assert!(world.try_run(&change).await.is_err());
        let register = RegisterAccount {
            proof: NumberProof::Session(session(20)),
            number: number(2),
            pni: pni(2),
            fresh_aci: aci(9),
            ..register(3)
        };
        let registered = world.run(&register).await;
        let moved = world.state::<Account>(aci(1)).await;
        let expected = if moved.holds(pni(2)) { aci(1) } else { aci(9) };
        let returned = registered.aci == aci(2);
        assert!(registered.aci == expected || returned, "cut after {cut}");
        invariants::hold(&world).await;
    }
}
