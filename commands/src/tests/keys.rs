//! One-time pre-keys under concurrency.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::Actor;
use events::ids::IdentityKind;
use tokio_util::task::TaskTracker;

use crate::account::Caller;
use crate::keys::set_keys::SetKeys;
use crate::keys::take_pre_keys::{PreKeyBundles, TakePreKeys};
use crate::testing::fixtures::{Identity, aci, device, ec};
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
