//! Keys to which credentials for pictures are bound, and these credentials.

use api::Config;
use api::grpc::proto::account::{SetZkCredentialKeyRequest, SetZkCredentialKeyResponse};
use api::grpc::proto::profile::get_avatar_credentials_response::Response as Issued;
use api::grpc::proto::profile::{GetAvatarCredentialsRequest, GetAvatarCredentialsResponse};
use api::limits::rates::Rates;
use tonic::Status;

use crate::support::Door;
use crate::support::calls::{Calls, field, reason};

/// A point that is one: the base of the group, or its neutral element.
pub(crate) fn key(base: bool) -> Vec<u8> {
    let point = if base {
        "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76".to_owned()
    } else {
        "00".repeat(32)
    };
    [vec![0], hex::decode(point).unwrap()].concat()
}

pub(crate) async fn set(calls: &Calls, public_key: Vec<u8>) -> Result<u64, Status> {
    let request = SetZkCredentialKeyRequest {
        public_key: public_key.into(),
    };
    let answer = calls.ask("account.Accounts/SetZkCredentialKey", request);
    let answer: Result<SetZkCredentialKeyResponse, _> = answer.await;
    answer.map(|answer| answer.rotation_id)
}

#[tokio::test]
async fn a_key_is_known_by_an_id_until_another_one_takes_its_place() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let first = set(&calls, key(true)).await.unwrap();
    assert!((1..u64::MAX / 2).contains(&first));
    for _ in 0..10 {
        assert_eq!(set(&calls, key(true)).await.unwrap(), first, "not counted");
    }
    let second = set(&calls, key(false)).await.unwrap();
    assert_ne!(second, first);
    for base in [true, false, true] {
        set(&calls, key(base)).await.unwrap();
    }
    let refused = set(&calls, key(false)).await.unwrap_err();
    assert_eq!(reason(&refused), (8, "RESOURCE_EXHAUSTED".to_owned()));
    assert_eq!(field(set(&calls, vec![0xff; 33]).await), "public_key");
    assert_eq!(field(set(&calls, vec![0; 32]).await), "public_key");
}

#[tokio::test]
async fn credentials_need_a_key_and_a_request_that_is_for_it() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    // Well-formed, with a proof that proves nothing.
    let request = vec![0; 105];
    let ask = |request: Vec<u8>| {
        let request = GetAvatarCredentialsRequest {
            avatar_credentials_request: request.into(),
        };
        calls
            .ask::<_, GetAvatarCredentialsResponse>("profile.Profile/GetAvatarCredentials", request)
    };
    let missing = ask(request.clone()).await.unwrap().response;
    assert!(matches!(missing, Some(Issued::MissingZkCredentialKey(_))));
    set(&calls, key(true)).await.unwrap();
    for bad in [request, vec![], vec![1; 233]] {
        assert_eq!(field(ask(bad).await), "avatar_credentials_request");
    }
}
