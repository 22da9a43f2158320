//! Stories about devices and their pre-keys, told through the executor.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::Actor;
use events::ids::IdentityKind;
use tokio_util::task::TaskTracker;

use crate::account::Caller;
use crate::device::link_device::LinkDevice;
use crate::device::remove_device::RemoveDevice;
use crate::keys::set_keys::{SetKeys, SetKeysRefused};
use crate::keys::take_pre_keys::{PreKeyBundles, TakePreKeys, TakePreKeysRefused};
use crate::registration::register_account::RegisterAccount;
use crate::testing::fixtures::{
    Identity, access_key, aci, device, ec, link, pni, register, set_keys, take_all,
};
use crate::testing::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_callers_on_two_nodes_never_get_the_same_key() {
    const KEYS: u32 = 40;
    const CALLERS: usize = 64;
    let world = World::with_people([1, 2]).await;
    let identity = Identity::of(1);
    world
        .run(&SetKeys {
            aci: aci(1),
            device: device(1),
            identity: IdentityKind::Aci,
            identity_key: None,
            one_time: (1..=KEYS).map(ec).collect(),
            one_time_kyber: (101..=120)
                .map(|id| identity.kyber(&identity.aci, id))
                .collect(),
            signed: None,
            last_resort: None,
        })
        .await;
    let nodes = [
        Arc::new(world.another_node()),
        Arc::new(world.another_node()),
    ];
    let tasks = TaskTracker::new();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let node = nodes[caller % 2].clone();
            tasks.spawn(async move {
                let take = TakePreKeys {
                    target: aci(1).into(),
                    device: None,
                    caller: Caller::Device(aci(2), device(1)),
                };
                let request = node.request_by(Actor::Anonymous);
                node.execute(&take, &request).await.unwrap().done
            })
        })
        .collect();
    let mut bundles: Vec<PreKeyBundles> = Vec::new();
    for caller in callers {
        bundles.push(caller.await.unwrap());
    }
    let taken: Vec<_> = bundles
        .iter()
        .filter_map(|b| b.devices[0].one_time.clone())
        .collect();
    let distinct: BTreeSet<_> = taken.iter().map(|key| key.key_id).collect();
    assert_eq!((taken.len(), distinct.len()), (40, 40));
    let kyber: Vec<_> = bundles
        .iter()
        .map(|b| b.devices[0].kyber.clone().unwrap())
        .collect();
    let last_resort = identity.kyber(&identity.aci, 1).public_key;
    let ids: BTreeSet<_> = kyber.iter().map(|key| key.key_id).collect();
    assert_eq!(ids.len(), 20 + 1);
    assert_eq!(
        kyber
            .iter()
            .filter(|key| key.public_key == last_resort)
            .count(),
        CALLERS - 20
    );
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
