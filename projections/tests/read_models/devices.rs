use events::account::AccountEvent;
use events::values::Capability;
use events::{DeviceId, Generation, StreamId};
use projections::Model;
use testkit::history::{History, samples};

use crate::support::World;

fn account(n: u32) -> StreamId {
    StreamId::account(samples::aci(n))
}

#[tokio::test]
async fn a_device_has_what_it_takes_to_check_who_it_is() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::linked(2, 3));
    world.apply(Model::Devices, &history).await;
    let device = world
        .queries
        .devices()
        .one(samples::aci(1), samples::device(2))
        .await
        .unwrap()
        .unwrap();
    let expected = samples::new_device(2, 3);
    assert_eq!(device.generation, Generation(3));
    assert_eq!(device.credential, Some(expected.credential));
    assert_eq!(device.registration_id, expected.registration_id);
    assert_eq!(device.pni_registration_id, expected.pni_registration_id);
    assert_eq!(device.name, expected.traits.name);
    assert_eq!(device.capabilities, expected.traits.capabilities);
    assert_eq!(device.fetches_messages, expected.traits.fetches_messages);
    let push = expected.push.and_then(|push| push.known().cloned());
    assert!(push.is_some() && device.push.map(|push| push.0) == push);
    assert_eq!(device.linked_at, history.facts()[1].metadata.at);
    assert_eq!(device.last_seen, device.linked_at);
    assert_eq!(device.created_at, expected.created_at);
}

#[tokio::test]
async fn the_roster_is_in_order_and_only_of_the_account() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(2), samples::registered(2, 1));
    history.then(account(1), samples::linked(3, 2));
    history.then(account(1), samples::linked(2, 3));
    history.then(account(1), samples::linked(4, 4));
    history.then(account(1), samples::removed(4, 4));
    world.apply(Model::Devices, &history).await;
    let roster = world.queries.devices().of(samples::aci(1)).await.unwrap();
    let ids: Vec<_> = roster.iter().map(|device| device.id.get()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(
        world
            .queries
            .devices()
            .of(samples::aci(9))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn removing_an_earlier_device_spares_the_one_that_has_its_number_now() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::linked(2, 3));
    history.then(account(1), samples::removed(2, 2));
    world.apply(Model::Devices, &history).await;
    assert!(
        world
            .queries
            .devices()
            .one(samples::aci(1), samples::device(2))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn attributes_change_what_a_device_said_and_when_it_was_seen() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::attributes(1, 6));
    let primary = async || {
        world
            .queries
            .devices()
            .one(samples::aci(1), DeviceId::PRIMARY)
            .await
            .unwrap()
            .unwrap()
    };
    world.apply(Model::Devices, &history).await;
    let device = primary().await;
    assert_eq!(device.name, samples::traits(6).name);
    assert_eq!(device.agent, samples::traits(6).agent);
    assert_eq!(device.last_seen, history.facts()[1].metadata.at);
    assert_eq!(device.linked_at, history.facts()[0].metadata.at);
    history.then(account(1), samples::seen(1));
    world.apply(Model::Devices, &history).await;
    assert_eq!(primary().await.last_seen, history.facts()[2].metadata.at);
}

#[tokio::test]
async fn a_failed_registration_lock_voids_every_password_until_the_account_is_registered_again() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::linked(2, 2));
    history.then(account(2), samples::registered(2, 1));
    history.then(account(1), samples::lock_failed());
    world.apply(Model::Devices, &history).await;
    let devices = world.queries.devices();
    let roster = devices.of(samples::aci(1)).await.unwrap();
    assert_eq!(roster.len(), 2);
    assert!(roster.iter().all(|device| device.credential.is_none()));
    let other = devices
        .one(samples::aci(2), DeviceId::PRIMARY)
        .await
        .unwrap()
        .unwrap();
    assert!(other.credential.is_some());
    history.then(account(1), samples::reregistered(1, 3));
    world.apply(Model::Devices, &history).await;
    let roster = devices.of(samples::aci(1)).await.unwrap();
    assert_eq!(roster.len(), 1);
    assert!(roster[0].credential.is_some());
}

#[tokio::test]
async fn a_device_is_woken_named_and_numbered_anew() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 2));
    history.then(account(1), samples::push_token(1, 7));
    history.then(account(1), samples::renamed(1, 8));
    history.then(account(1), samples::moved_away(1, 41));
    world.apply(Model::Devices, &history).await;
    let devices = world.queries.devices();
    let one = async || {
        let found = devices.one(samples::aci(1), samples::device(1)).await;
        found.unwrap().unwrap()
    };
    let device = one().await;
    assert!(device.push.is_some() && !device.fetches_messages);
    assert_eq!(device.name.unwrap().as_ref(), b"renamed 8");
    assert_eq!(device.pni_registration_id.unwrap().get(), 42);
    assert_eq!(device.agent.as_deref(), Some("agent 2"));
    history.then(account(1), samples::push_token(1, 6));
    world.apply(Model::Devices, &history).await;
    let device = one().await;
    assert_eq!((device.push, device.agent.as_deref()), (None, Some("OWA")));
}

#[tokio::test]
async fn what_was_said_of_a_linked_device_goes_with_it() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::linked(2, 3));
    history.then(account(1), samples::capabilities(2, true));
    history.then(account(1), samples::archive(2, 3));
    history.then(account(1), samples::archive(2, 4));
    world.apply(Model::Devices, &history).await;
    let AccountEvent::DeviceLinked(linked) = samples::linked(2, 3) else {
        unreachable!("it was linked")
    };
    let devices = world.queries.devices();
    let linked_by = devices.linked_by(samples::aci(1), linked.token).await;
    let device = linked_by.unwrap().unwrap();
    assert_eq!(device.capabilities, [Capability::Storage].into());
    let archive = device.archive.unwrap();
    assert_eq!(
        archive.at,
        history.facts()[3].metadata.at,
        "of this life of the device"
    );
    history.then(account(1), samples::removed(2, 3));
    world.apply(Model::Devices, &history).await;
    let gone = devices.linked_by(samples::aci(1), linked.token).await;
    assert_eq!(gone.unwrap(), None);
}
