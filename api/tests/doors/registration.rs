//! `POST /v1/registration`.

use api::Config;
use api::config::DialectSwitch;
use commands::ports::Notification;
use events::account::PushToken;
use serde_json::{Value, json};

use crate::support::device::{
    Identities, attributes, b64, kyber_pre_key, registration, signed_pre_key,
};
use crate::support::{Client, Door};

const NUMBER: &str = "+12015550123";

async fn draft(door: &Door) -> (Client, Value) {
    let session = door.verify(NUMBER).await;
    let client = door.client().official().basic(NUMBER, "password");
    (client, registration(&session, &Identities::generate(1)))
}

#[tokio::test]
async fn a_verified_number_becomes_an_account() {
    let door = Door::open().await;
    let (client, body) = draft(&door).await;
    let reply = client.post("/v1/registration", body).await;
    assert!(reply.position().is_some());
    let mut account = reply.expect(200);
    insta::assert_json_snapshot!(account, { ".uuid" => "[aci]", ".pni" => "[pni]" });

    let username = account["uuid"].as_str().unwrap().to_owned();
    let whoami = door
        .client()
        .basic(&username, "password")
        .get("/v1/accounts/whoami")
        .await;
    account.as_object_mut().unwrap().remove("reregistration");
    assert_eq!(whoami.expect(200), account, "whoami says the same");
}

#[tokio::test]
async fn the_same_number_again_is_the_same_account_with_new_credentials() {
    let door = Door::open().await;
    let before = door.register(NUMBER).await;
    let session = door.verify(NUMBER).await;
    let client = door.client().official().basic(NUMBER, "another");
    let body = registration(&session, &Identities::generate(9));
    let after = client.post("/v1/registration", body).await.expect(200);
    assert_eq!(
        (&after["uuid"], &after["pni"]),
        (&json!(before.aci), &json!(before.pni))
    );
    assert_eq!(after["reregistration"], true);
    before.client.get("/v1/accounts/whoami").await.expect(401);
}

#[tokio::test]
async fn without_keys_a_client_of_the_published_contract_can_register_and_upload_them_later() {
    let door = Door::open().await;
    let session = door.verify(NUMBER).await;
    let client = door.client().basic(NUMBER, "password");
    let body = json!({ "sessionId": session, "accountAttributes": { "fetchesMessages": true } });
    let account = client.post("/v1/registration", body).await.expect(200);
    let client = door
        .client()
        .basic(account["uuid"].as_str().unwrap(), "password");
    let path = format!("/v2/keys/{}/*", account["uuid"].as_str().unwrap());
    client.get(&path).await.expect(404);

    let keys = Identities::generate(3);
    let upload = json!({
        "identityKey": b64(keys.aci.public_key()),
        "signedPreKey": signed_pre_key(&keys.aci, 5),
    });
    client.put("/v2/keys", upload).await.expect(204);
    let bundle = client.get(&path).await.expect(200);
    assert_eq!(bundle["identityKey"], b64(keys.aci.public_key()));
    assert_eq!(bundle["devices"][0]["pqPreKey"], Value::Null);
    let other = json!({ "identityKey": b64(keys.pni.public_key()) });
    client.put("/v2/keys", other).await.expect(409);
}

#[tokio::test]
async fn the_number_must_be_proved() {
    let door = Door::open().await;
    let (client, body) = draft(&door).await;
    let attempt = |change: Value| {
        let mut body = body.clone();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        client.json("POST", "/v1/registration", body)
    };
    attempt(json!({ "sessionId": "AAAAAAAAAAAAAAAAAAAAAA==" }))
        .await
        .expect(401);
    attempt(json!({ "sessionId": "bm9uZQ" })).await.expect(401);
    attempt(json!({ "sessionId": "!!" })).await.expect(422);
    attempt(json!({ "sessionId": null })).await.expect(422);
    attempt(json!({ "sessionId": null, "recoveryPassword": b64([1; 32]) }))
        .await
        .expect(403);
    attempt(json!({ "recoveryPassword": b64([1; 32]) }))
        .await
        .expect(422);

    let other = door.client().official().basic("+12015550199", "password");
    other
        .post("/v1/registration", body.clone())
        .await
        .expect(400);
    let nobody = door.client().official().basic("banana", "password");
    nobody
        .post("/v1/registration", body.clone())
        .await
        .expect(400);

    let unverified = door
        .client()
        .post("/v1/verification/session", json!({ "number": NUMBER }))
        .await;
    let id = unverified.expect(200)["id"].clone();
    attempt(json!({ "sessionId": id })).await.expect(401);
    client
        .post("/v1/registration", body.clone())
        .await
        .expect(200);
}

#[tokio::test]
async fn a_recovery_password_stands_in_for_a_session() {
    let door = Door::open().await;
    let (client, mut body) = draft(&door).await;
    body["accountAttributes"]["recoveryPassword"] = json!(b64([5; 32]));
    let first = client
        .post("/v1/registration", body.clone())
        .await
        .expect(200);
    body.as_object_mut().unwrap().remove("sessionId");
    body["recoveryPassword"] = json!(b64([6; 32]));
    client
        .post("/v1/registration", body.clone())
        .await
        .expect(403);
    body["recoveryPassword"] = json!(b64([5; 32]));
    let again = client.post("/v1/registration", body).await.expect(200);
    assert_eq!(again["uuid"], first["uuid"]);
}

#[tokio::test]
async fn the_registration_lock_keeps_others_out() {
    let door = Door::open().await;
    let (client, mut body) = draft(&door).await;
    let lock = "ab".repeat(32);
    body["accountAttributes"]["registrationLock"] = json!(lock);
    let account = client
        .post("/v1/registration", body.clone())
        .await
        .expect(200);
    let session = door.verify(NUMBER).await;
    body["sessionId"] = json!(session);
    body["accountAttributes"]["registrationLock"] = Value::Null;
    let locked = client
        .post("/v1/registration", body.clone())
        .await
        .expect(423);
    let aci = account["uuid"].as_str().unwrap().parse().unwrap();
    let recovery = &door.api.issuing.keys.external.svr2;
    let credentials = recovery.issue(aci, door.api.clock.now());
    assert_eq!(
        locked,
        json!({
            "timeRemaining": 7 * 24 * 60 * 60 * 1000,
            "svr2Credentials": {
                "username": credentials.username,
                "password": credentials.password,
            },
        })
    );
    let owner = door
        .client()
        .basic(account["uuid"].as_str().unwrap(), "password");
    owner.get("/v1/accounts/whoami").await.expect(401);
    body["accountAttributes"]["registrationLock"] = json!(lock);
    client.post("/v1/registration", body).await.expect(200);
    owner.get("/v1/accounts/whoami").await.expect(200);
}

#[tokio::test]
async fn whoever_cannot_open_the_lock_is_not_unnoticed() {
    let door = Door::open().await;
    let (client, mut body) = draft(&door).await;
    body["accountAttributes"]["registrationLock"] = json!("ab".repeat(32));
    body["accountAttributes"]["fetchesMessages"] = json!(false);
    body["gcmToken"] = json!({ "gcmRegistrationId": "the-owners" });
    client
        .post("/v1/registration", body.clone())
        .await
        .expect(200);
    body["accountAttributes"]["registrationLock"] = json!("cd".repeat(32));
    client.post("/v1/registration", body).await.expect(423);
    let mut pushed = door.phones.pushed.subscribe();
    let told = pushed.wait_for(|pushed| !pushed.is_empty()).await.unwrap();
    let owner = PushToken::Fcm("the-owners".into());
    assert!(told[0] == (owner, Notification::AttemptLogin));
}

#[tokio::test]
async fn a_transfer_is_offered_while_the_existing_device_can_hand_over() {
    let door = Door::open().await;
    let (client, mut body) = draft(&door).await;
    body["accountAttributes"]["capabilities"]["transfer"] = json!(true);
    client
        .post("/v1/registration", body.clone())
        .await
        .expect(200);
    body["sessionId"] = json!(door.verify(NUMBER).await);
    body["skipDeviceTransfer"] = json!(false);
    let offered = client.post("/v1/registration", body.clone()).await;
    assert_eq!((offered.status.as_u16(), offered.body.len()), (409, 0));
    body["skipDeviceTransfer"] = json!(true);
    client.post("/v1/registration", body).await.expect(200);
}

#[tokio::test]
async fn a_forged_signature_is_refused() {
    let door = Door::open().await;
    let (client, mut body) = draft(&door).await;
    body["aciSignedPreKey"]["signature"] = body["pniSignedPreKey"]["signature"].clone();
    let refused = client.post("/v1/registration", body).await.expect(422);
    assert_eq!(
        refused,
        json!({ "code": 422, "message": "Invalid signature" })
    );
}

#[tokio::test]
async fn official_clients_must_send_everything() {
    let door = Door::open().await;
    let (client, body) = draft(&door).await;
    for name in [
        "accountAttributes",
        "aciIdentityKey",
        "pniSignedPreKey",
        "aciPqLastResortPreKey",
    ] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(name);
        let refused = client.post("/v1/registration", body).await.expect(422);
        assert!(refused["errors"].is_array(), "{name}: {refused}");
    }
    for (name, value) in [
        ("registrationId", json!(0)),
        ("registrationId", json!(16384)),
        ("registrationId", Value::Null),
        ("pniRegistrationId", Value::Null),
        ("unidentifiedAccessKey", json!([1, 2, 3])),
        ("unidentifiedAccessKey", Value::Null),
        ("registrationLock", json!("short")),
        ("recoveryPassword", json!(b64([1; 31]))),
        ("name", json!(b64([1; 226]))),
        ("fetchesMessages", json!(false)),
    ] {
        let mut body = body.clone();
        body["accountAttributes"][name] = value.clone();
        let refused = client.post("/v1/registration", body).await.expect(422);
        assert!(refused["errors"].is_array(), "{name} {value}: {refused}");
    }
    for (name, value) in [
        ("aciIdentityKey", json!("AAAA")),
        ("skipDeviceTransfer", json!("x")),
    ] {
        let mut body = body.clone();
        body[name] = value;
        let refused = client.post("/v1/registration", body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.body.len()),
            (422, 0),
            "{name}"
        );
    }
}

#[tokio::test]
async fn push_tokens_come_in_three_spellings() {
    let door = Door::open().await;
    for token in [
        json!({ "apnToken": { "apnRegistrationId": "t" } }),
        json!({ "gcmToken": { "gcmRegistrationId": "t" } }),
        json!({ "pushToken": { "gcmRegistrationId": "t" } }),
    ] {
        let (client, mut body) = draft(&door).await;
        body["accountAttributes"]["fetchesMessages"] = json!(false);
        body.as_object_mut()
            .unwrap()
            .extend(token.as_object().unwrap().clone());
        client
            .post("/v1/registration", body.clone())
            .await
            .expect(200);
        body["accountAttributes"]["fetchesMessages"] = json!(true);
        client.post("/v1/registration", body).await.expect(422);
    }
}

#[tokio::test]
async fn credentials_are_read_to_the_letter() {
    let door = Door::open().await;
    let (client, body) = draft(&door).await;
    let attempt = |client: Client| {
        let body = body.clone();
        async move { client.post("/v1/registration", body).await }
    };
    let missing = attempt(door.client()).await.expect(400);
    assert!(missing["errors"].is_array());
    for header in ["basic YTpi", "Basic !!!!", "Basic YWJj", "Bearer x"] {
        let refused = attempt(door.client().with("authorization", header)).await;
        assert_eq!(
            (
                refused.status.as_u16(),
                refused.header("www-authenticate").is_some()
            ),
            (401, true),
            "{header}"
        );
    }
    attempt(client).await.expect(200);
}

#[tokio::test]
async fn the_switch_decides_which_contract_counts() {
    let config = |dialect| Config {
        dialect,
        ..Config::default()
    };
    let door = Door::open_with(config(DialectSwitch::Deployed)).await;
    let body = json!({ "sessionId": door.verify(NUMBER).await, "accountAttributes": attributes() });
    let client = door.client().basic(NUMBER, "password");
    client.post("/v1/registration", body).await.expect(422);

    let door = Door::open_with(config(DialectSwitch::Seed)).await;
    let client = door.client().official().basic(NUMBER, "password");
    client.post("/v1/registration", json!({})).await.expect(400);
    let keys = Identities::generate(1);
    let mut body = registration(&door.verify(NUMBER).await, &keys);
    body["aciPqLastResortPreKey"] = kyber_pre_key(&keys.aci, 3);
    client.post("/v1/registration", body).await.expect(200);
}
