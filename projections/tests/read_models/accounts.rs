use events::StreamId;
use projections::Model;
use testkit::history::{History, samples};

use crate::support::World;

fn account(n: u32) -> StreamId {
    StreamId::account(samples::aci(n))
}

#[tokio::test]
async fn an_account_is_found_by_either_of_its_ids() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(2), samples::registered(2, 1));
    world.apply(Model::Accounts, &history).await;

    let accounts = world.queries.accounts();
    let one = accounts.by_aci(samples::aci(1)).await.unwrap().unwrap();
    assert_eq!(one.pni, samples::pni(1));
    assert_eq!(one.number, Some(samples::number(1)));
    assert_eq!(one.identity.aci, Some(samples::ec_key(1)));
    assert_eq!(one.registered_at, history.facts()[0].metadata.at);
    assert!(one.access_key.is_some());
    assert_eq!(
        accounts
            .by_service_id(samples::pni(1).into())
            .await
            .unwrap(),
        Some(one.clone())
    );
    assert_eq!(
        accounts
            .by_service_id(samples::aci(1).into())
            .await
            .unwrap(),
        Some(one)
    );
    assert!(accounts.exists(samples::pni(2).into()).await.unwrap());
    assert!(accounts.exists(samples::aci(2).into()).await.unwrap());
    assert!(!accounts.exists(samples::pni(3).into()).await.unwrap());
    assert_eq!(accounts.by_aci(samples::aci(3)).await.unwrap(), None);
}

#[tokio::test]
async fn storage_is_possible_while_any_device_can_do_it() {
    let world = World::new().await;
    let storage_capable = async |history: &History| {
        world.apply(Model::Accounts, history).await;
        let account = world
            .queries
            .accounts()
            .by_aci(samples::aci(1))
            .await
            .unwrap();
        account.unwrap().storage_capable
    };
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 2));
    assert!(!storage_capable(&history).await, "even generations cannot");
    history.then(account(1), samples::linked(2, 3));
    assert!(storage_capable(&history).await);
    history.then(account(1), samples::attributes(2, 4));
    assert!(!storage_capable(&history).await);
    history.then(account(1), samples::attributes(1, 5));
    assert!(storage_capable(&history).await);
    history.then(account(1), samples::removed(2, 3));
    assert!(storage_capable(&history).await);
    history.then(account(1), samples::reregistered(1, 6));
    assert!(!storage_capable(&history).await);
}

#[tokio::test]
async fn registering_again_replaces_all_but_the_date() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::reregistered(1, 3));
    world.apply(Model::Accounts, &history).await;
    let one = world
        .queries
        .accounts()
        .by_aci(samples::aci(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(one.registered_at, history.facts()[0].metadata.at);
    assert_eq!(one.identity.pni, Some(samples::ec_key(4)));
    assert_eq!(one.access_key, None, "generation 3 has none");
}

#[tokio::test]
async fn a_late_identity_key_is_added() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::identity_key(9));
    world.apply(Model::Accounts, &history).await;
    let one = world
        .queries
        .accounts()
        .by_aci(samples::aci(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (one.identity.aci, one.identity.pni),
        (Some(samples::ec_key(1)), Some(samples::ec_key(9)))
    );
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_number_can_come_back() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::deleted(1));
    world.apply(Model::Accounts, &history).await;
    assert!(
        !world
            .queries
            .accounts()
            .exists(samples::pni(1).into())
            .await
            .unwrap()
    );
    history.then(account(1), samples::registered(1, 5));
    world.apply(Model::Accounts, &history).await;
    let one = world
        .queries
        .accounts()
        .by_service_id(samples::pni(1).into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(one.registered_at, history.facts()[2].metadata.at);
}
