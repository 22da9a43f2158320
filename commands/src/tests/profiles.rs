//! Stories about profiles, told through the executor.

use events::payload::PayloadDigest;
use events::profile::{ProfileCleared, ProfileEvent};
use events::values::Capability;
use events::values::profile::{AvatarKey, ProfileFields, ProfileKeyCommitment, ProfileVersion};
use events::{AnyEvent, StreamId};

use super::invariants;
use crate::account::Account;
use crate::account::change_attributes::ChangeAttributes;
use crate::account::delete_account::DeleteAccount;
use crate::profile::Profile;
use crate::profile::set_avatar::{SetAvatar, SetAvatarRefused};
use crate::profile::set_profile::{AvatarChange, ProfileForm, SetProfile, SetProfileRefused};
use crate::profile::state::MAX_VERSIONS;
use crate::testing::fixtures::{aci, change_number, change_protection, device, register, session};
use crate::testing::world::World;

fn version(n: u8) -> ProfileVersion {
    ProfileVersion::from_bytes([n; 32])
}

fn commitment(fill: u8) -> ProfileKeyCommitment {
    vec![fill; ProfileKeyCommitment::LEN].try_into().unwrap()
}

fn avatar(fill: u8) -> AvatarKey {
    AvatarKey::from_random([fill; 16])
}

/// The first person writes version `n`.
pub(super) fn set(n: u8, name: u8) -> SetProfile {
    SetProfile {
        aci: aci(1),
        device: device(1),
        slot: Some(version(n)),
        commitment: Some(commitment(n)),
        fields: ProfileFields {
            name: vec![name; 81],
            ..ProfileFields::default()
        },
        avatar: AvatarChange::Clear,
        payments_barred: false,
        form: ProfileForm::First,
    }
}

fn with_avatar(avatar: AvatarChange) -> SetProfile {
    SetProfile {
        avatar,
        ..set(1, 1)
    }
}

async fn stored(world: &World, n: u8) -> Option<crate::profile::state::Version> {
    let profile = world.state::<Profile>(aci(1)).await;
    profile.version(Some(version(n))).cloned()
}

#[tokio::test]
async fn the_last_version_written_is_current_and_writing_it_again_is_no_news() {
    let world = World::with_people([1]).await;
    world.run(&set(1, 1)).await;
    world.run(&set(2, 1)).await;
    let profile = world.state::<Profile>(aci(1)).await;
    assert_eq!(profile.current, Some(Some(version(2))));
    let again = world.try_run(&set(2, 1)).await.unwrap();
    assert_eq!(again.position, None);
    for news in [set(1, 1), set(1, 2)] {
        assert!(world.try_run(&news).await.unwrap().position.is_some());
    }
    invariants::hold(&world).await;
}

#[tokio::test]
async fn the_first_commitment_of_a_version_stays() {
    let world = World::with_people([1]).await;
    world.run(&set(1, 1)).await;
    let other = SetProfile {
        commitment: Some(commitment(9)),
        ..set(1, 2)
    };
    world.run(&other).await;
    let stored = stored(&world, 1).await.unwrap();
    assert_eq!(stored.commitment, Some(commitment(1)));
}

#[tokio::test]
async fn a_picture_is_replaced_kept_and_cleared() {
    let world = World::with_people([1]).await;
    world.run(&with_avatar(AvatarChange::Keep)).await;
    assert_eq!(stored(&world, 1).await.unwrap().avatar, None);
    world
        .run(&with_avatar(AvatarChange::Replace(avatar(1))))
        .await;
    world.run(&with_avatar(AvatarChange::Keep)).await;
    assert_eq!(stored(&world, 1).await.unwrap().avatar, Some(avatar(1)));
    world
        .run(&with_avatar(AvatarChange::Replace(avatar(2))))
        .await;
    world.run(&with_avatar(AvatarChange::Clear)).await;
    assert_eq!(stored(&world, 1).await.unwrap().avatar, None);
    let history = world.history(&StreamId::profile(aci(1)));
    let gone: Vec<_> = history
        .iter()
        .filter_map(|event| match event {
            AnyEvent::Profile(ProfileEvent::AvatarReplaced(e)) => e.replaces,
            AnyEvent::Profile(ProfileEvent::AvatarRemoved(e)) => Some(e.key),
            _ => None,
        })
        .collect();
    assert_eq!(
        gone,
        [avatar(1), avatar(2)],
        "each can be removed from the store"
    );
}

#[tokio::test]
async fn a_payment_address_comes_to_a_barred_number_only_where_there_was_one() {
    let world = World::with_people([1]).await;
    let with_address = |barred| {
        let mut set = set(1, 1);
        set.fields.payment_address = vec![1; 582];
        set.payments_barred = barred;
        set
    };
    let refused = world.refused(&with_address(true)).await;
    assert_eq!(refused, SetProfileRefused::PaymentsBarred);
    world.run(&with_address(false)).await;
    world.run(&with_address(true)).await;
    world
        .run(&SetProfile {
            payments_barred: true,
            ..set(2, 1)
        })
        .await;
}

#[tokio::test]
async fn old_versions_make_room_and_the_current_one_never_does() {
    let world = World::with_people([1]).await;
    let last = u8::try_from(MAX_VERSIONS).unwrap();
    for n in 1..=last {
        world.run(&set(n, n)).await;
    }
    world.run(&set(1, 100)).await;
    world.run(&set(last + 1, 1)).await;
    assert!(stored(&world, 1).await.is_some(), "written of late");
    assert_eq!(stored(&world, 2).await, None);
    let announce = SetAvatar {
        aci: aci(1),
        device: device(1),
        version: version(last + 2),
        commitment: Some(commitment(1)),
        key: avatar(1),
    };
    world.run(&announce).await;
    assert_eq!(stored(&world, 3).await, None);
    assert!(stored(&world, last + 1).await.is_some());
    invariants::hold(&world).await;
}

/// How the profile was cleared last.
fn cleared(world: &World) -> ProfileCleared {
    let history = world.history(&StreamId::profile(aci(1)));
    match history.last() {
        Some(AnyEvent::Profile(ProfileEvent::ProfileCleared(cleared))) => cleared.clone(),
        _ => panic!("{history:?}"),
    }
}

#[tokio::test]
async fn deleting_ends_the_profile_and_its_pictures() {
    let world = World::with_people([1]).await;
    world
        .run(&with_avatar(AvatarChange::Replace(avatar(1))))
        .await;
    world.run(&set(2, 2)).await;
    world.run(&DeleteAccount { aci: aci(1) }).await;
    assert_eq!(world.state::<Profile>(aci(1)).await, Profile::default());
    let ended = cleared(&world);
    assert_eq!((ended.fields.len(), ended.avatars), (2, vec![avatar(1)]));
    assert_eq!(ended.kept, []);
    invariants::hold(&world).await;
}

#[tokio::test]
async fn registering_again_clears_the_profile_and_keeps_its_picture_until_there_is_another() {
    let world = World::with_people([1]).await;
    let picture = |n| with_avatar(AvatarChange::Replace(avatar(n)));
    world.run(&picture(1)).await;
    world.run(&register(1)).await;
    let profile = world.state::<Profile>(aci(1)).await;
    assert_eq!(
        (profile.version(Some(version(1))), profile.current),
        (None, None)
    );
    let once = cleared(&world);
    assert_eq!((once.avatars, once.kept), (vec![], vec![avatar(1)]));

    world.run(&set(2, 2)).await;
    world.run(&register(1)).await;
    let without_another = cleared(&world);
    assert_eq!(
        (without_another.avatars, without_another.kept),
        (vec![], vec![avatar(1)])
    );

    world.run(&picture(2)).await;
    world.run(&register(1)).await;
    let with_another = cleared(&world);
    assert_eq!(
        (with_another.avatars, with_another.kept),
        (vec![avatar(1)], vec![avatar(2)])
    );

    world.run(&DeleteAccount { aci: aci(1) }).await;
    let ended = cleared(&world);
    assert_eq!((ended.fields.len(), ended.avatars), (0, vec![avatar(2)]));
    assert_eq!(world.state::<Profile>(aci(1)).await, Profile::default());
    invariants::hold(&world).await;
}

#[tokio::test]
async fn who_loses_their_number_to_somebody_loses_their_pictures() {
    let world = World::with_people([1, 2]).await;
    let picture = |n| with_avatar(AvatarChange::Replace(avatar(n)));
    world.run(&picture(1)).await;
    world.run(&register(1)).await;
    world.run(&picture(2)).await;
    world.verify_in(20, 1).await;
    let mover = world.state::<Account>(aci(2)).await.live.unwrap();
    world.run(&change_number(2, 1, session(20), &mover)).await;
    let ended = cleared(&world);
    assert_eq!(
        (ended.avatars, ended.kept),
        (vec![avatar(2), avatar(1)], vec![])
    );
    invariants::hold(&world).await;
}

async fn speak_second_form(world: &World) {
    let change = ChangeAttributes {
        capabilities: [Capability::ProfilesV2].into(),
        ..change_protection(1, events::account::Protection::default())
    };
    world.run(&change).await;
}

fn second(n: u8, data: u8, seen: Option<u8>, current: Option<u8>) -> SetProfile {
    let mut set = set(n, 1);
    set.fields.data = vec![data; 100];
    set.form = ProfileForm::Second {
        data: seen.map(|data| PayloadDigest::of(&[data; 100])),
        current: current.map(version),
    };
    set
}

#[tokio::test]
async fn in_the_second_form_nobody_overwrites_what_they_have_not_seen() {
    use SetProfileRefused::{
        OtherCommitment, OtherCurrentVersion, OtherData, SecondFormNotSpoken, SecondFormSpoken,
    };
    let world = World::with_people([1]).await;
    let refused = world.refused(&second(1, 1, None, None)).await;
    assert_eq!(refused, SecondFormNotSpoken);
    speak_second_form(&world).await;
    assert_eq!(world.refused(&set(1, 1)).await, SecondFormSpoken);
    world.run(&second(1, 1, None, None)).await;
    for (set, refusal) in [
        (second(1, 2, Some(1), None), OtherCurrentVersion),
        (second(1, 2, None, Some(1)), OtherData),
        (second(1, 2, Some(7), Some(1)), OtherData),
        (
            SetProfile {
                commitment: Some(commitment(9)),
                ..second(1, 2, Some(1), Some(1))
            },
            OtherCommitment,
        ),
    ] {
        assert_eq!(world.refused(&set).await, refusal);
    }
    world.run(&second(1, 2, Some(1), Some(1))).await;
    world.run(&second(2, 1, None, Some(1))).await;
}

#[tokio::test]
async fn a_new_version_can_begin_with_its_picture_if_it_brings_a_commitment() {
    let world = World::with_people([1]).await;
    let announce = SetAvatar {
        aci: aci(1),
        device: device(1),
        version: version(1),
        commitment: None,
        key: avatar(1),
    };
    assert_eq!(
        world.refused(&announce).await,
        SetAvatarRefused::NoCommitment
    );
    world
        .run(&SetAvatar {
            commitment: Some(commitment(1)),
            ..announce.clone()
        })
        .await;
    let profile = world.state::<Profile>(aci(1)).await;
    assert_eq!(profile.current, None);
    world.run(&with_avatar(AvatarChange::Keep)).await;
    assert_eq!(stored(&world, 1).await.unwrap().avatar, Some(avatar(1)));
    world
        .run(&SetAvatar {
            key: avatar(2),
            ..announce
        })
        .await;
    assert_eq!(
        stored(&world, 1).await.unwrap().commitment,
        Some(commitment(1))
    );
    let stranger = SetAvatar {
        aci: aci(1),
        device: device(5),
        version: version(1),
        commitment: None,
        key: avatar(3),
    };
    assert_eq!(
        world.refused(&stranger).await,
        SetAvatarRefused::NoSuchDevice
    );
}
