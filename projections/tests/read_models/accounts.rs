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

#[tokio::test]
async fn a_username_and_its_link_are_found_until_they_are_gone() {
    let world = World::new().await;
    let accounts = world.queries.accounts();
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::username_confirmed(7));
    world.apply(Model::Accounts, &history).await;
    let owner = async |n| accounts.by_username(samples::username(n)).await.unwrap();
    assert_eq!(owner(7).await, Some(samples::aci(1)));
    assert_eq!(owner(8).await, None);
    let link = samples::username_link(7);
    let behind = async |handle| accounts.behind_link(handle).await.unwrap();
    assert_eq!(behind(link.handle).await.as_ref(), link.encrypted.known());

    history.then(account(1), samples::link_changed(9));
    world.apply(Model::Accounts, &history).await;
    assert_eq!(behind(link.handle).await, None);
    assert!(behind(samples::username_link(9).handle).await.is_some());
    history.then(account(1), samples::link_changed(8));
    world.apply(Model::Accounts, &history).await;
    assert_eq!(behind(samples::username_link(9).handle).await, None);
    assert_eq!(owner(7).await, Some(samples::aci(1)));

    history.then(account(1), samples::username_confirmed(11));
    world.apply(Model::Accounts, &history).await;
    assert_eq!(
        (owner(7).await, owner(11).await),
        (None, Some(samples::aci(1)))
    );
    history.then(account(1), samples::reregistered(1, 3));
    world.apply(Model::Accounts, &history).await;
    assert_eq!(owner(11).await, None);
    history.then(account(1), samples::username_confirmed(11));
    history.then(account(1), samples::username_dropped(11));
    world.apply(Model::Accounts, &history).await;
    assert_eq!(owner(11).await, None);
}

#[tokio::test]
async fn an_account_that_moves_is_found_under_its_new_number_only() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::moved_away(1, 4));
    world.apply(Model::Accounts, &history).await;
    let (number, pni) = samples::second_number(1);
    let accounts = world.queries.accounts();
    let moved = accounts.by_service_id(pni.into()).await.unwrap().unwrap();
    assert_eq!((moved.aci, moved.number), (samples::aci(1), Some(number)));
    assert_eq!(moved.identity.pni, Some(samples::ec_key(4)));
    assert!(!accounts.exists(samples::pni(1).into()).await.unwrap());
    history.then(account(1), samples::moved_back(1, 5));
    world.apply(Model::Accounts, &history).await;
    let back = accounts.by_service_id(samples::pni(1).into()).await;
    assert_eq!(
        back.unwrap().unwrap().identity.pni,
        Some(samples::ec_key(4)),
        "odd moves bring no key"
    );
}

#[tokio::test]
async fn keys_for_one_time_passwords_are_listed_with_what_is_noted() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::totp(1, 2));
    history.then(account(1), samples::totp(2, 5));
    history.then(account(1), samples::totp(1, 4));
    history.then(account(1), samples::totp(2, 3));
    world.apply(Model::Accounts, &history).await;
    let one = world.queries.accounts().by_aci(samples::aci(1)).await;
    let keys = one.unwrap().unwrap().totp_keys;
    let noted: Vec<_> = keys
        .into_iter()
        .map(|(id, metadata)| (id.0, metadata.unwrap().as_ref()[0]))
        .collect();
    assert_eq!(noted, [(1, 4)]);
}

#[tokio::test]
async fn requests_for_backups_are_replaced_one_by_one_and_outlive_another_registration() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    history.then(account(1), samples::backup(Some(1), Some(2)));
    history.then(account(1), samples::backup(None, Some(3)));
    history.then(account(1), samples::reregistered(1, 3));
    world.apply(Model::Accounts, &history).await;
    let one = world.queries.accounts().by_aci(samples::aci(1)).await;
    let backup = one.unwrap().unwrap().backup;
    assert_eq!(backup.messages, Some(samples::backup_request(1)));
    assert_eq!(backup.media, Some(samples::backup_request(3)));
}
