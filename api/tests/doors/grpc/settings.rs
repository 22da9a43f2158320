//! What an account and its devices say of themselves: names, tokens, locks, one-time passwords.

use std::time::Duration;

use api::grpc::proto::account::confirm_totp_key_response::Response as Confirmed;
use api::grpc::proto::account::generate_totp_key_response::Response as Generated;
use api::grpc::proto::account::{
    ClearRegistrationLockRequest, ClearRegistrationLockResponse,
    ConfigureUnidentifiedAccessRequest, ConfigureUnidentifiedAccessResponse, ConfirmTotpKeyRequest,
    ConfirmTotpKeyResponse, GenerateTotpKeyRequest, GenerateTotpKeyResponse, ListTotpKeysRequest,
    ListTotpKeysResponse, RemoveTotpKeyRequest, RemoveTotpKeyResponse, SetRegistrationLockRequest,
    SetRegistrationLockResponse, configure_unidentified_access_request::Configuration,
};
use api::grpc::proto::device::set_device_name_response::Response as Named;
use api::grpc::proto::device::set_push_token_request::TokenRequest;
use api::grpc::proto::device::{
    ApnsTokenRequest, ClearPushTokenRequest, ClearPushTokenResponse, SetDeviceNameRequest,
    SetDeviceNameResponse, SetPushTokenRequest, SetPushTokenResponse,
};
use bytes::Bytes;
use events::ports::Clock as _;
use serde_json::json;

use crate::support::Door;
use crate::support::calls::{field, reason};

#[tokio::test]
async fn a_key_for_one_time_passwords_is_confirmed_listed_and_removed() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let generated: GenerateTotpKeyResponse = calls
        .ask(
            "account.Accounts/GenerateTotpKey",
            GenerateTotpKeyRequest {},
        )
        .await
        .unwrap();
    let Some(Generated::KeyGenerated(generated)) = generated.response else {
        panic!("there is room for a key");
    };
    let key: [u8; 32] = generated.key[..].try_into().unwrap();
    let confirm = |one_time_password| {
        let request = ConfirmTotpKeyRequest {
            one_time_password,
            metadata_ciphertext: vec![7; 160].into(),
        };
        calls.ask::<_, ConfirmTotpKeyResponse>("account.Accounts/ConfirmTotpKey", request)
    };
    let right = crypto::totp::password(&key, door.clock.now());
    let wrong = confirm(right ^ 1).await.unwrap().response.unwrap();
    assert!(matches!(wrong, Confirmed::OneTimePasswordNotVerified(_)));
    let Some(Confirmed::KeyConfirmed(confirmed)) = confirm(right).await.unwrap().response else {
        panic!("the password is right");
    };
    let list = || {
        calls
            .ask::<_, ListTotpKeysResponse>("account.Accounts/ListTotpKeys", ListTotpKeysRequest {})
    };
    let keys = list().await.unwrap().keys;
    let id = i32::try_from(confirmed.key_id).unwrap();
    assert_eq!(keys[&id].metadata_ciphertext, vec![7; 160]);
    let remove = RemoveTotpKeyRequest {
        key_id: confirmed.key_id,
    };
    calls
        .ask::<_, RemoveTotpKeyResponse>("account.Accounts/RemoveTotpKey", remove)
        .await
        .unwrap();
    assert!(list().await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn a_lock_is_the_hex_of_its_bytes() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let lock = SetRegistrationLockRequest {
        registration_lock: vec![0xab; 32].into(),
    };
    calls
        .ask::<_, SetRegistrationLockResponse>("account.Accounts/SetRegistrationLock", lock)
        .await
        .unwrap();
    door.clock.advance(Duration::from_secs(1));
    let session = door.verify(&alice.number).await;
    let mut body = crate::support::device::registration(&session, &alice.keys);
    let client = door.client().official().basic(&alice.number, "again");
    client
        .post("/v1/registration", body.clone())
        .await
        .expect(423);
    body["accountAttributes"]["registrationLock"] = json!("ab".repeat(32));
    client.post("/v1/registration", body).await.expect(200);
    let calls = door.calls().basic(&format!("{}.1", alice.aci), "again");
    calls
        .ask::<_, ClearRegistrationLockResponse>(
            "account.Accounts/ClearRegistrationLock",
            ClearRegistrationLockRequest {},
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn an_account_opens_itself_to_anybody() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let configure = |configuration| {
        calls.ask::<_, ConfigureUnidentifiedAccessResponse>(
            "account.Accounts/ConfigureUnidentifiedAccess",
            ConfigureUnidentifiedAccessRequest { configuration },
        )
    };
    assert_eq!(field(configure(None).await), "configuration");
    let path = format!("/v2/keys/{}/1", alice.aci);
    let stranger = || {
        let key = crate::support::device::b64([9; 16]);
        door.client().with("unidentified-access-key", key)
    };
    stranger().get(&path).await.expect(401);
    let open = Configuration::AllowUnrestrictedUnidentifiedAccess(());
    configure(Some(open)).await.unwrap();
    stranger().get(&path).await.expect(200);
    let key = Configuration::UnidentifiedAccessKey(vec![8; 16].into());
    configure(Some(key)).await.unwrap();
    stranger().get(&path).await.expect(401);
}

#[tokio::test]
async fn devices_are_named_and_woken() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let tablet = door.link(&alice, "tablet").await;
    let (primary, linked) = (door.calls().by(&alice), door.calls().by(&tablet));
    let name = |id| SetDeviceNameRequest {
        name: Bytes::from_static(b"name"),
        id,
    };
    let method = "device.Devices/SetDeviceName";
    let named: SetDeviceNameResponse = primary.ask(method, name(2)).await.unwrap();
    assert_eq!(named.response, Some(Named::Success(())));
    let nobody: SetDeviceNameResponse = primary.ask(method, name(5)).await.unwrap();
    assert!(matches!(
        nobody.response,
        Some(Named::TargetDeviceNotFound(_))
    ));
    let other = linked
        .ask::<_, SetDeviceNameResponse>(method, name(1))
        .await;
    assert_eq!(
        reason(&other.unwrap_err()),
        (3, "BAD_AUTHENTICATION".to_owned())
    );
    let none = SetPushTokenRequest {
        token_request: None,
    };
    let none = linked
        .ask::<_, SetPushTokenResponse>("device.Devices/SetPushToken", none)
        .await;
    assert_eq!(field(none), "token_request");
    let broken = ApnsTokenRequest {
        apns_token: "a\u{0}b".to_owned(),
    };
    let broken = SetPushTokenRequest {
        token_request: Some(TokenRequest::ApnsTokenRequest(broken)),
    };
    let broken = linked
        .ask::<_, SetPushTokenResponse>("device.Devices/SetPushToken", broken)
        .await;
    assert_eq!(field(broken), "token_request");
    linked
        .ask::<_, ClearPushTokenResponse>("device.Devices/ClearPushToken", ClearPushTokenRequest {})
        .await
        .unwrap();
    let row = crate::settings::device_row(&door, &tablet).await;
    assert!(row.fetches_messages && row.push.is_none());
    let list = alice.client.get("/v1/devices").await.expect(200);
    assert_eq!(list["devices"][1]["name"], "bmFtZQ==");
}
