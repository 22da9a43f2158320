use events::StreamId;
use events::values::profile::ProfileFields;
use projections::Model;
use projections::profiles::StoredProfile;
use testkit::history::{History, samples};

use crate::support::World;

fn stream(account: u32) -> StreamId {
    StreamId::profile(samples::aci(account))
}

async fn version(world: &World, account: u32, n: u8) -> Option<StoredProfile> {
    let profiles = world.queries.profiles();
    let version = samples::version(n).unwrap();
    profiles
        .version(samples::aci(account), version)
        .await
        .unwrap()
}

async fn current(world: &World, account: u32) -> Option<StoredProfile> {
    let profiles = world.queries.profiles();
    profiles.current(samples::aci(account)).await.unwrap()
}

fn ciphertext(write: u8) -> ProfileFields {
    ProfileFields {
        name: vec![write; 81],
        ..ProfileFields::default()
    }
}

/// Applies a history whose ciphertexts are all in the payload store.
async fn apply(world: &World, history: &History) {
    for write in 0..=4 {
        sqlx::query("INSERT INTO log.payloads (id, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(samples::fields(write.into()).id.0)
            .bind(ciphertext(write).write())
            .execute(&world.database.pool)
            .await
            .unwrap();
    }
    world.apply(Model::Profiles, history).await;
}

fn row(n: u8, write: u8, current: bool) -> StoredProfile {
    StoredProfile {
        fields: Some(ciphertext(write)),
        commitment: samples::commitment(n),
        avatar: None,
        current,
    }
}

#[tokio::test]
async fn versions_stand_beside_each_other_and_the_last_one_written_is_current() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(stream(1), samples::profile_set(1, 1));
    history.then(stream(1), samples::profile_set(2, 2));
    history.then(stream(2), samples::profile_set(1, 3));
    apply(&world, &history).await;
    assert_eq!(version(&world, 1, 1).await, Some(row(1, 1, false)));
    assert_eq!(version(&world, 1, 2).await, Some(row(2, 2, true)));
    assert_eq!(version(&world, 1, 3).await, None);
    history.then(stream(1), samples::profile_set(1, 4));
    apply(&world, &history).await;
    assert_eq!(current(&world, 1).await, Some(row(1, 4, true)));
    assert_eq!(version(&world, 1, 2).await, Some(row(2, 2, false)));
}

#[tokio::test]
async fn a_profile_without_versions_has_a_place_of_its_own() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(stream(1), samples::profile_set(1, 1));
    history.then(stream(1), samples::profile_set(0, 2));
    apply(&world, &history).await;
    assert_eq!(current(&world, 1).await, Some(row(0, 2, true)));
    assert_eq!(version(&world, 1, 1).await, Some(row(1, 1, false)));
}

#[tokio::test]
async fn pictures_come_and_go_without_a_write() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(stream(1), samples::profile_set(1, 1));
    history.then(stream(1), samples::avatar_replaced(1, 1));
    history.then(stream(1), samples::avatar_replaced(2, 2));
    apply(&world, &history).await;
    let with_picture = StoredProfile {
        avatar: Some(samples::avatar(1)),
        ..row(1, 1, true)
    };
    assert_eq!(current(&world, 1).await, Some(with_picture));
    let announced = StoredProfile {
        fields: None,
        avatar: Some(samples::avatar(2)),
        ..row(2, 0, false)
    };
    assert_eq!(version(&world, 1, 2).await, Some(announced));
    history.then(stream(1), samples::avatar_removed(1, 1));
    apply(&world, &history).await;
    assert_eq!(current(&world, 1).await, Some(row(1, 1, true)));
}

#[tokio::test]
async fn what_is_dropped_or_cleared_is_gone() {
    let world = World::new().await;
    let mut history = History::default();
    for account in [1, 2] {
        history.then(stream(account), samples::profile_set(1, 1));
        history.then(stream(account), samples::profile_set(2, 2));
    }
    history.then(stream(1), samples::profile_dropped(1));
    history.then(stream(2), samples::profile_cleared());
    history.then(stream(2), samples::profile_set(3, 3));
    apply(&world, &history).await;
    assert_eq!(version(&world, 1, 1).await, None);
    assert_eq!(version(&world, 1, 2).await, Some(row(2, 2, true)));
    assert_eq!(version(&world, 2, 2).await, None);
    assert_eq!(version(&world, 2, 3).await, Some(row(3, 3, true)));
}

#[tokio::test]
async fn a_version_without_its_ciphertext_is_still_there() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(stream(1), samples::profile_set(1, 77));
    apply(&world, &history).await;
    let erased = StoredProfile {
        fields: None,
        ..row(1, 0, true)
    };
    assert_eq!(version(&world, 1, 1).await, Some(erased));
}
