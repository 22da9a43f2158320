//! Pictures of people whom nobody knows.

use api::grpc::proto::profile::delete_avatar_response::Response as Deleted;
use api::grpc::proto::profile::extend_avatar_ttl_response::Response as Extended;
use api::grpc::proto::profile::get_avatar_upload_form_response::Response as Given;
use api::grpc::proto::profile::{
    DeleteAvatarRequest, DeleteAvatarResponse, ExtendAvatarTtlRequest, ExtendAvatarTtlResponse,
    GetAvatarUploadFormRequest, GetAvatarUploadFormResponse,
};
use api::limits::rates::Rates;
use api::{Config, IssuingKeys};
use bytes::Bytes;
use crypto::zk::{GenericSecretParams, GenericVersion};
use events::Timestamp;
use events::ports::Clock as _;
use serde_json::json;
use std::time::Duration;

use crate::support::calls::{field, reason};
use crate::support::{Door, SECRETS};

/// From which the keys come that the credential was issued with.
const SEED: &str = "285f7edcccf6b0252ae454c9b5987612dfd40c408561831f81309398e89c2aa4";

/// A credential as the official library shows it.
const PRESENTATION: &str = "0000b955690000000046a0012bc5189faf653483891c33e25461628cbd27739d5ab1baed70e49e6e58b4fa84b281\
        038763503c4d911d2fbcd6430e5acffbe090dc21627ececf70932fb8ff79cd292028dbe6f57066b865701c7491c6\
        cf7039a543b7394815c886484790b2bee96a87a83ca72b2e4df7cd5b24da60794db66904a4e169f30f6f3f6e0902\
        00000000000000c230de8aa68d091418c17731b7806fb13f4c58e6fb2ec28af76a875ff07c6108f228d7044ac5b3\
        f9dc80caf915dd974b5c5eea5fe0295a182c9050034112b756800000000000000034cfe026e670f6012ae998315a\
        8f221d845c665e0542b55e5291ec595f2f7d074dadf6c1a8d234301158db84b6daf3e88f014ae9748c95ce76328a\
        ec4503100bde30f11756df30bd0074043378a9be6eb0cc8feb938d5b5fc63f846fe9d03d0833ebeaf6bd79a78b00\
        9a1b3aa6caa0847903398fb9134b0079289c70e8eda50e";

/// The day for which it was issued.
const DAY: u64 = 1_767_225_600;

/// A server that has issued the credential, on the day for which it is.
pub(crate) async fn door(rates: Rates) -> Door {
    let seed: [u8; 32] = hex::decode(SEED).unwrap().try_into().unwrap();
    let mut keys = IssuingKeys::from(&*SECRETS);
    keys.chat = GenericSecretParams::from_seed(&seed, GenericVersion::Legacy);
    let door = Door::open_issuing(Config::default(), rates, keys);
    let door = Box::pin(door).await;
    let day = Timestamp::from_epoch_millis(DAY * 1000).unwrap();
    let now = door.clock.now();
    assert!(now >= day && now.since(day) < Duration::from_hours(24));
    door
}

pub(crate) fn presentation() -> Bytes {
    hex::decode(PRESENTATION).unwrap().into()
}

pub(crate) async fn place(
    door: &Door,
    shown: Bytes,
    upload_length: u32,
) -> Result<Given, tonic::Status> {
    let request = GetAvatarUploadFormRequest {
        avatar_credentials_presentation: shown,
        upload_length,
    };
    let method = "profile.ProfileAnonymous/GetAvatarUploadForm";
    let answer = door.calls().ask(method, request).await;
    answer.map(|answer: GetAvatarUploadFormResponse| answer.response.unwrap())
}

async fn find(door: &Door, shown: Bytes) -> Result<Extended, tonic::Status> {
    let request = ExtendAvatarTtlRequest {
        avatar_credentials_presentation: shown,
    };
    let method = "profile.ProfileAnonymous/ExtendAvatarTTL";
    let answer = door.calls().ask(method, request).await;
    answer.map(|answer: ExtendAvatarTtlResponse| answer.response.unwrap())
}

async fn delete(door: &Door, shown: Bytes) -> Result<Deleted, tonic::Status> {
    let request = DeleteAvatarRequest {
        avatar_credentials_presentation: shown,
    };
    let method = "profile.ProfileAnonymous/DeleteAvatar";
    let answer = door.calls().ask(method, request).await;
    answer.map(|answer: DeleteAvatarResponse| answer.response.unwrap())
}

#[tokio::test]
async fn whoever_shows_a_credential_has_a_picture() {
    let door = door(Rates::default()).await;
    let nothing = find(&door, presentation()).await.unwrap();
    assert!(matches!(nothing, Extended::NotFound(_)));
    let mut paths = Vec::new();
    for _ in 0..2 {
        let Given::AvatarUploadForm(form) = place(&door, presentation(), 1000).await.unwrap()
        else {
            panic!("the credential is good");
        };
        let fields = json!({
            "key": form.key, "credential": form.credential, "acl": form.acl, "algorithm": form.algorithm,
            "date": form.date, "policy": form.policy, "signature": form.signature,
        });
        assert_eq!(door.upload(&fields).await, form.key);
        let found = find(&door, presentation()).await.unwrap();
        assert_eq!(found, Extended::Path(form.key.clone()));
        paths.push(form.key);
    }
    door.remove_pictures().await;
    let there = (door.has(&paths[0]).await, door.has(&paths[1]).await);
    assert_eq!(there, (false, true), "the first one is replaced");
    for _ in 0..2 {
        let deleted = delete(&door, presentation()).await.unwrap();
        assert_eq!(deleted, Deleted::Success(()));
        let gone = find(&door, presentation()).await.unwrap();
        assert!(matches!(gone, Extended::NotFound(_)));
    }
    door.remove_pictures().await;
    assert!(!door.has(&paths[1]).await, "taken away");
}

#[tokio::test]
async fn a_picture_has_so_many_bytes_and_no_more() {
    let door = door(Rates::default()).await;
    for bytes in [0, 10 * 1024 * 1024 + 1] {
        let refused = place(&door, presentation(), bytes).await;
        assert_eq!(field(refused), "upload_length");
    }
    for _ in 0..10 {
        place(&door, presentation(), 10 * 1024 * 1024)
            .await
            .unwrap();
    }
    let refused = place(&door, presentation(), 1).await.unwrap_err();
    assert_eq!(reason(&refused), (8, "RESOURCE_EXHAUSTED".to_owned()));
}

#[tokio::test]
async fn a_credential_that_is_not_good_opens_nothing() {
    let door = door(Rates::default()).await;
    place(&door, presentation(), 1000).await.unwrap();
    let mut forged = presentation().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let late = {
        door.clock.advance(Duration::from_hours(4 * 24));
        presentation()
    };
    for shown in [Bytes::from(forged), late] {
        let refused = [
            matches!(
                place(&door, shown.clone(), 1000).await.unwrap(),
                Given::InvalidCredentialsPresentation(_)
            ),
            matches!(
                find(&door, shown.clone()).await.unwrap(),
                Extended::InvalidCredentialsPresentation(_)
            ),
            matches!(
                delete(&door, shown).await.unwrap(),
                Deleted::InvalidCredentialsPresentation(_)
            ),
        ];
        assert_eq!(refused, [true; 3]);
    }
    let malformed = Bytes::from_static(&[0; 10]);
    let presentation = "avatar_credentials_presentation";
    assert_eq!(
        field(place(&door, malformed.clone(), 1000).await),
        presentation
    );
    assert_eq!(field(find(&door, malformed.clone()).await), presentation);
    assert_eq!(field(delete(&door, malformed).await), presentation);
}
