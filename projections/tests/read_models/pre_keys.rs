use events::keys::KeysEvent;
use events::keys::PreKeyKind::{Ec, Kyber};
use events::{DeviceId, Generation, ServiceId, StreamId};
use projections::Model;
use projections::pre_keys::PreKeyCounts;
use testkit::history::{History, samples};

use crate::support::World;

fn stream(identity: ServiceId, generation: u32) -> StreamId {
    StreamId::keys(identity, DeviceId::PRIMARY, Generation(generation))
}

async fn counts(world: &World, identity: ServiceId, generation: u32) -> (u32, u32) {
    let pre_keys = world.queries.pre_keys();
    let counts = pre_keys
        .counts(identity, DeviceId::PRIMARY, Generation(generation))
        .await
        .unwrap();
    let PreKeyCounts { ec, kyber } = counts;
    (ec, kyber)
}

#[tokio::test]
async fn keys_are_counted_down_as_they_are_taken() {
    let world = World::new().await;
    let aci = samples::aci(1).into();
    let mut history = History::default();
    history.then(stream(aci, 1), samples::uploaded(Ec, 1, 5));
    history.then(stream(aci, 1), samples::uploaded(Kyber, 2, 3));
    history.then(stream(aci, 1), samples::taken(Ec, 1, 0));
    history.then(stream(aci, 1), samples::taken(Ec, 1, 1));
    history.then(stream(aci, 1), samples::taken(Kyber, 2, 0));
    world.apply(Model::PreKeys, &history).await;
    assert_eq!(counts(&world, aci, 1).await, (3, 2));
    assert_eq!(counts(&world, samples::pni(1).into(), 1).await, (0, 0));
    assert_eq!(counts(&world, aci, 2).await, (0, 0));
}

#[tokio::test]
async fn a_new_page_replaces_the_old_one_of_its_kind_only() {
    let world = World::new().await;
    let pni = samples::pni(1).into();
    let mut history = History::default();
    history.then(stream(pni, 1), samples::uploaded(Ec, 1, 5));
    history.then(stream(pni, 1), samples::uploaded(Kyber, 2, 4));
    history.then(stream(pni, 1), samples::taken(Kyber, 2, 0));
    history.then(stream(pni, 1), samples::uploaded(Ec, 3, 2));
    world.apply(Model::PreKeys, &history).await;
    assert_eq!(counts(&world, pni, 1).await, (2, 3));
}

#[tokio::test]
async fn registering_again_drops_the_keys_of_earlier_devices_only() {
    let world = World::new().await;
    let (aci, pni) = (samples::aci(1).into(), samples::pni(1).into());
    let mut history = History::default();
    for identity in [aci, pni] {
        history.then(stream(identity, 1), samples::uploaded(Ec, 1, 5));
        history.then(stream(identity, 2), samples::uploaded(Ec, 2, 4));
    }
    history.then(
        StreamId::account(samples::aci(1)),
        samples::reregistered(1, 2),
    );
    world.apply(Model::PreKeys, &history).await;
    for identity in [aci, pni] {
        assert_eq!(counts(&world, identity, 1).await, (0, 0));
        assert_eq!(counts(&world, identity, 2).await, (4, 0));
    }
    history.then(StreamId::account(samples::aci(1)), samples::deleted(1));
    world.apply(Model::PreKeys, &history).await;
    assert_eq!(counts(&world, aci, 2).await, (0, 0));
    assert_eq!(counts(&world, pni, 2).await, (0, 0));
}

#[tokio::test]
async fn keys_that_are_dropped_and_those_of_an_earlier_number_do_not_count() {
    let world = World::new().await;
    let (aci, pni) = (samples::aci(1).into(), samples::pni(1).into());
    let mut history = History::default();
    for identity in [aci, pni] {
        history.then(stream(identity, 1), samples::uploaded(Ec, 1, 5));
        history.then(stream(identity, 1), samples::uploaded(Kyber, 2, 4));
    }
    history.then(
        StreamId::account(samples::aci(1)),
        samples::moved_away(1, 3),
    );
    history.then(stream(aci, 1), samples::keys_dropped());
    history.then(stream(aci, 1), samples::uploaded(Ec, 3, 2));
    world.apply(Model::PreKeys, &history).await;
    assert_eq!(counts(&world, pni, 1).await, (0, 0));
    assert_eq!(counts(&world, aci, 1).await, (2, 0));
}

#[tokio::test]
async fn keys_that_are_handed_out_again_and_again_are_the_last_that_were_set() {
    let world = World::new().await;
    let (aci, pni) = (samples::aci(1).into(), samples::pni(1).into());
    let mut history = History::default();
    history.then(stream(aci, 1), samples::rotated(1));
    history.then(stream(pni, 1), samples::rotated(2));
    history.then(stream(pni, 1), samples::last_resort(3));
    world.apply(Model::PreKeys, &history).await;
    let pre_keys = world.queries.pre_keys();
    let keys = async |identity| {
        let keys = pre_keys.repeated_use(identity, DeviceId::PRIMARY, Generation(1));
        keys.await.unwrap()
    };
    assert_eq!(keys(aci).await, None, "one is missing");
    let KeysEvent::SignedPreKeyRotated(rotated) = samples::rotated(2) else {
        unreachable!("it was rotated")
    };
    let known = keys(pni).await.unwrap();
    assert_eq!(known.signed, rotated.key);
    assert_eq!(known.last_resort, samples::page_id(3));
    history.then(stream(pni, 1), samples::last_resort(4));
    history.then(stream(aci, 1), samples::last_resort(5));
    history.then(stream(aci, 1), samples::keys_dropped());
    world.apply(Model::PreKeys, &history).await;
    assert_eq!(keys(pni).await.unwrap().last_resort, samples::page_id(4));
    assert_eq!(keys(aci).await, None);
}
