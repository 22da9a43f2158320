//! `keys.Keys` and `keys.KeysAnonymous`.

use api::grpc::proto::common::{EcPreKey, EcSignedPreKey, IdentityType, KemSignedPreKey};
use api::grpc::proto::keys::get_pre_keys_anonymous_request::Authorization;
use api::grpc::proto::keys::{
    CheckIdentityKeyRequest, CheckIdentityKeyResponse, GetPreKeyCountRequest,
    GetPreKeyCountResponse, GetPreKeysAnonymousRequest, GetPreKeysAnonymousResponse,
    GetPreKeysRequest, GetPreKeysResponse, SetEcSignedPreKeyRequest, SetOneTimeEcPreKeysRequest,
    SetOneTimeKemSignedPreKeysRequest, SetPreKeyResponse, get_pre_keys_anonymous_response,
    get_pre_keys_response,
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{UNKNOWN, aci, pni};
use crate::support::calls::{field, reason};
use crate::support::device::{ACCESS_KEY, kyber_pre_key, signed_pre_key};
use crate::support::{Device, Door};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use serde_json::Value;

fn bytes(value: &Value) -> Bytes {
    BASE64_STANDARD_NO_PAD
        .decode(value.as_str().unwrap())
        .unwrap()
        .into()
}

fn ec(id: i32) -> EcPreKey {
    let mut key = vec![u8::try_from(id).unwrap(); 33];
    key[0] = 5;
    EcPreKey {
        key_id: id,
        public_key: key.into(),
    }
}

fn signed(device: &Device, id: u64) -> EcSignedPreKey {
    let key = signed_pre_key(&device.keys.aci, id);
    EcSignedPreKey {
        key_id: i32::try_from(id).unwrap(),
        public_key: bytes(&key["publicKey"]),
        signature: bytes(&key["signature"]),
    }
}

fn kyber(device: &Device, id: u64) -> KemSignedPreKey {
    let key = kyber_pre_key(&device.keys.aci, id);
    KemSignedPreKey {
        key_id: i32::try_from(id).unwrap(),
        public_key: bytes(&key["publicKey"]),
        signature: bytes(&key["signature"]),
    }
}

#[tokio::test]
async fn keys_are_set_counted_and_each_given_once() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let (hers, his) = (door.calls().by(&alice), door.calls().by(&bob));
    let identity = IdentityType::Aci.into();
    let ec_keys = SetOneTimeEcPreKeysRequest {
        identity_type: identity,
        pre_keys: vec![ec(4), ec(3)],
    };
    hers.ask::<_, SetPreKeyResponse>("keys.Keys/SetOneTimeEcPreKeys", ec_keys)
        .await
        .unwrap();
    let kem_keys = SetOneTimeKemSignedPreKeysRequest {
        identity_type: identity,
        pre_keys: vec![kyber(&alice, 9)],
    };
    hers.ask::<_, SetPreKeyResponse>("keys.Keys/SetOneTimeKemSignedPreKeys", kem_keys)
        .await
        .unwrap();
    let counts: GetPreKeyCountResponse = hers
        .ask("keys.Keys/GetPreKeyCount", GetPreKeyCountRequest {})
        .await
        .unwrap();
    assert_eq!(
        counts,
        GetPreKeyCountResponse {
            aci_ec_pre_key_count: 2,
            aci_kem_pre_key_count: 1,
            ..GetPreKeyCountResponse::default()
        }
    );
    let take = || {
        his.ask::<_, GetPreKeysResponse>(
            "keys.Keys/GetPreKeys",
            GetPreKeysRequest {
                target_identifier: aci(&alice.aci),
                device_id: Some(1),
            },
        )
    };
    let mut taken = Vec::new();
    for _ in 0..3 {
        let Some(get_pre_keys_response::Response::PreKeys(bundles)) =
            take().await.unwrap().response
        else {
            panic!("there are keys");
        };
        assert_eq!(bundles.unidentified_access_key_fingerprint.len(), 32);
        assert_eq!(
            bundles.identity_key[..],
            alice.keys.aci.public_key().as_bytes()[..]
        );
        let device = &bundles.device_pre_keys[&1];
        taken.push((
            device.ec_one_time_pre_key.as_ref().map(|key| key.key_id),
            device.kem_one_time_pre_key.as_ref().map(|key| key.key_id),
        ));
    }
    assert_eq!(
        taken,
        [(Some(3), Some(9)), (Some(4), Some(3)), (None, Some(3))]
    );
}

#[tokio::test]
async fn bad_keys_are_refused_and_nothing_is_stored() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let mut forged = signed(&alice, 5);
    forged.signature = Bytes::from_static(&[1; 64]);
    let set = |identity_type: i32, key| {
        calls.ask::<_, SetPreKeyResponse>(
            "keys.Keys/SetEcSignedPreKey",
            SetEcSignedPreKeyRequest {
                identity_type,
                signed_pre_key: key,
            },
        )
    };
    assert_eq!(field(set(1, Some(forged)).await), "pre_keys");
    assert_eq!(
        field(set(0, Some(signed(&alice, 5))).await),
        "identity_type"
    );
    assert_eq!(field(set(1, None).await), "signed_pre_key");
    set(1, Some(signed(&alice, 5))).await.unwrap();
    let short = EcPreKey {
        key_id: 2,
        public_key: Bytes::from_static(&[5; 3]),
    };
    let request = SetOneTimeEcPreKeysRequest {
        identity_type: 1,
        pre_keys: vec![ec(1), short],
    };
    let refused = calls
        .ask::<_, SetPreKeyResponse>("keys.Keys/SetOneTimeEcPreKeys", request)
        .await;
    assert_eq!(field(refused), "pre_keys");
    let counts: GetPreKeyCountResponse = calls
        .ask("keys.Keys/GetPreKeyCount", GetPreKeyCountRequest {})
        .await
        .unwrap();
    assert_eq!(counts.aci_ec_pre_key_count, 0);
}

#[tokio::test]
async fn strangers_need_what_opens_the_account() {
    use get_pre_keys_anonymous_response::Response::{
        FailedUnidentifiedAuthorization, PreKeys, TargetNotFound,
    };
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let ask = |target, authorization| {
        let request = GetPreKeysAnonymousRequest {
            request: Some(GetPreKeysRequest {
                target_identifier: target,
                device_id: None,
            }),
            authorization,
        };
        let calls = door.calls();
        async move {
            calls
                .ask::<_, GetPreKeysAnonymousResponse>("keys.KeysAnonymous/GetPreKeys", request)
                .await
        }
    };
    let key = |byte| Some(Authorization::UnidentifiedAccessKey(vec![byte; 16].into()));
    let token = |people: &[&str]| {
        let token = BASE64_STANDARD_NO_PAD.decode(door.group_token(people).trim_end_matches('='));
        Some(Authorization::GroupSendToken(token.unwrap().into()))
    };
    let her = || aci(&alice.aci);
    let outcome = async |target, shown| ask(target, shown).await.unwrap().response.unwrap();
    assert!(matches!(
        outcome(her(), key(ACCESS_KEY[0])).await,
        PreKeys(_)
    ));
    let tokens = [token(&[&alice.aci]), token(&[UNKNOWN])];
    let [hers, anothers] = tokens;
    assert!(matches!(outcome(her(), hers).await, PreKeys(_)));
    assert!(matches!(
        outcome(aci(UNKNOWN), anothers.clone()).await,
        TargetNotFound(_)
    ));
    let failed = [
        outcome(her(), key(8)).await,
        outcome(aci(UNKNOWN), key(ACCESS_KEY[0])).await,
        outcome(her(), Some(Authorization::UnrestrictedAccess(()))).await,
        outcome(her(), anothers).await,
    ];
    for outcome in failed {
        assert!(matches!(outcome, FailedUnidentifiedAuthorization(_)));
    }
    assert_eq!(field(ask(her(), None).await), "authorization");
    let by_number = ask(pni(&alice.pni), key(ACCESS_KEY[0])).await;
    assert_eq!(field(by_number), "authorization");
    let malformed = Some(Authorization::GroupSendToken(Bytes::from_static(b"?")));
    assert_eq!(field(ask(her(), malformed).await), "group_send_token");
}

#[tokio::test]
async fn only_identity_keys_that_have_changed_are_told() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let (questions, mut answers) = door
        .calls()
        .stream::<CheckIdentityKeyRequest, CheckIdentityKeyResponse>(
            "keys.KeysAnonymous/CheckIdentityKeys",
        )
        .await
        .unwrap();
    let known = Sha256::digest(alice.keys.aci.public_key().as_bytes());
    let ask = |target, fingerprint: &[u8]| {
        let question = CheckIdentityKeyRequest {
            target_identifier: target,
            fingerprint: Bytes::copy_from_slice(fingerprint),
        };
        questions.send(question).unwrap();
    };
    ask(aci(&alice.aci), &known[..4]);
    ask(aci(UNKNOWN), &[1; 4]);
    ask(aci(&bob.aci), &[1; 4]);
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!(answer.target_identifier, aci(&bob.aci));
    assert_eq!(
        answer.identity_key[..],
        bob.keys.aci.public_key().as_bytes()[..]
    );
    drop(questions);
    assert_eq!(answers.message().await.unwrap(), None);

    let (questions, mut answers) = door
        .calls()
        .stream::<CheckIdentityKeyRequest, CheckIdentityKeyResponse>(
            "keys.KeysAnonymous/CheckIdentityKeys",
        )
        .await
        .unwrap();
    questions.send(CheckIdentityKeyRequest::default()).unwrap();
    let refused = answers.message().await.unwrap_err();
    assert_eq!(reason(&refused), (3, "CONSTRAINT_VIOLATED".to_owned()));
}
