//! What is true after any history, however it was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use events::account::AccountEvent;
use events::codec::Fact;
use events::ids::IdentityKind;
use events::keys::KeysEvent;
use events::{AnyEvent, Family, StreamId};

use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::device::DEVICE_LIMIT;
use crate::keys::PreKeys;
use crate::number::Number;
use crate::picture::Picture;
use crate::profile::Profile;
use crate::testing::world::World;
use crate::username::Username;
use crate::verification::Session;

/// Checks everything that must hold in every legal state.
pub(super) async fn hold(world: &World) {
    let facts = facts(world);
    generations_grow(&facts);
    keys_are_taken_once(&facts);
    let streams: BTreeSet<&StreamId> = facts.iter().map(|fact| &fact.stream).collect();
    for stream in streams {
        match stream.family() {
            Family::Account => {
                cached_is_replayed::<Account>(world, stream).await;
                account_is_whole(world, stream).await;
            }
            Family::Number => cached_is_replayed::<Number>(world, stream).await,
            Family::Keys => cached_is_replayed::<PreKeys>(world, stream).await,
            Family::Verification => cached_is_replayed::<Session>(world, stream).await,
            Family::Username => cached_is_replayed::<Username>(world, stream).await,
            Family::Profile => cached_is_replayed::<Profile>(world, stream).await,
            Family::Picture => cached_is_replayed::<Picture>(world, stream).await,
            Family::Mailbox | Family::Operator | Family::Erasure | Family::Tree => {}
        }
    }
}

fn facts(world: &World) -> Vec<Fact> {
    world
        .store
        .events()
        .iter()
        .map(|recorded| Fact::decode(recorded).unwrap())
        .collect()
}

/// What this node has cached is what a node without a cache reads.
async fn cached_is_replayed<A: Aggregate + PartialEq + Debug>(world: &World, stream: &StreamId) {
    let cached = world.executor.catch_up::<A>(stream).await.unwrap();
    let replayed = world.another_node().catch_up::<A>(stream).await.unwrap();
    assert_eq!(cached, replayed, "{stream}");
}

/// A living account holds its number, has device 1 and no more devices than it may, and no device has keys that were not
/// made for its identity.
async fn account_is_whole(world: &World, stream: &StreamId) {
    let aci = stream.as_account().unwrap();
    let account = world.state::<Account>(aci).await;
    let Some(live) = account.live.as_deref() else {
        return;
    };
    let number = world.state::<Number>(live.pni).await;
    assert_eq!(
        number.holder,
        Some(aci),
        "{stream} lives without its number"
    );
    if let Some(confirmed) = &live.usernames.confirmed {
        let username = world.state::<Username>(confirmed.hash).await;
        let taker = username.taker.map(|taker| taker.aci);
        assert_eq!(
            taker,
            Some(aci),
            "{stream} has a username that is not its own"
        );
    }
    assert!(live.devices.contains_key(&events::DeviceId::PRIMARY));
    assert!(live.devices.len() <= DEVICE_LIMIT);
    for (id, device) in &live.devices {
        assert!(device.generation <= account.generation);
        for kind in [IdentityKind::Aci, IdentityKind::Pni] {
            let identity = live.service_id(aci, kind);
            let keys = world
                .state::<PreKeys>((identity, *id, device.generation))
                .await;
            let Some(signed) = keys.signed else { continue };
            let by = live
                .identity_key(kind)
                .expect("no keys without an identity");
            let (key, signature) = (&signed.public_key, &signed.signature);
            let own = crypto::xeddsa::verify(by, key.as_ref(), signature);
            assert!(
                own,
                "{stream} device {id} has keys of another {kind:?} identity"
            );
        }
    }
}

/// No two devices of an account ever have the same generation, and later ones have higher ones.
fn generations_grow(facts: &[Fact]) {
    let mut last: BTreeMap<&StreamId, u32> = BTreeMap::new();
    for fact in facts {
        let joined = match &fact.event {
            AnyEvent::Account(AccountEvent::AccountRegistered(event)) => &event.primary,
            AnyEvent::Account(AccountEvent::AccountReregistered(event)) => &event.primary,
            AnyEvent::Account(AccountEvent::DeviceLinked(event)) => &event.device,
            _ => continue,
        };
        let generation = joined.generation.0;
        let earlier = last.insert(&fact.stream, generation).unwrap_or(0);
        assert!(
            generation > earlier,
            "{}: {generation} after {earlier}",
            fact.stream
        );
    }
}

/// No record of any page is taken twice.
fn keys_are_taken_once(facts: &[Fact]) {
    let mut taken = BTreeSet::new();
    for fact in facts {
        if let AnyEvent::Keys(KeysEvent::OneTimePreKeyTaken(event)) = &fact.event {
            assert!(
                taken.insert((event.page, event.index)),
                "{event:?} was taken before"
            );
        }
    }
}
