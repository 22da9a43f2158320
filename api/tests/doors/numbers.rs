//! `/v2/accounts/number` and `/v1/accounts/number`.

use std::time::Duration;

use api::Config;
use serde_json::{Value, json};

use crate::support::device::{Identities, b64, ec_pre_key, kyber_pre_key, signed_pre_key};
use crate::support::{Device, Door};

const OLD: &str = "+12015550123";
const NEW: &str = "+12015550199";
const V2: &str = "/v2/accounts/number";
const V1: &str = "/v1/accounts/number";

/// The body of a change to [`NEW`], for an account with devices 1 to `devices`.
fn change(session: &str, keys: &Identities, devices: u64) -> Value {
    let each = |make: &dyn Fn(u64) -> Value| -> Value {
        (1..=devices).map(|id| (id.to_string(), make(id))).collect()
    };
    let message = |id| {
        json!({
            "type": 1,
            "destinationDeviceId": id,
            "destinationRegistrationId": 111,
            "content": b64([7; 10]),
        })
    };
    json!({
        "sessionId": session,
        "number": NEW,
        "reglock": null,
        "pniIdentityKey": b64(keys.pni.public_key()),
        "deviceMessages": (2..=devices).map(message).collect::<Vec<_>>(),
        "devicePniSignedPrekeys": each(&|id| signed_pre_key(&keys.pni, 20 + id)),
        "devicePniPqLastResortPrekeys": each(&|id| kyber_pre_key(&keys.pni, 30 + id)),
        "pniRegistrationIds": each(&|id| json!(300 + id)),
    })
}

async fn pni_keys(by: &Device, pni: &str) -> Value {
    let path = format!("/v2/keys/PNI:{pni}/*");
    by.client.get(&path).await.expect(200)
}

#[tokio::test]
async fn an_account_moves_to_another_number_and_tells_its_devices() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let tablet = door.link(&alice, "tablet").await;
    let bob = door.register("+12015550124").await;
    let keys = Identities::generate(77);
    let session = door.verify(NEW).await;
    let body = change(&session, &keys, 2);
    tablet.client.put(V2, body.clone()).await.expect(403);
    let moved = alice.client.put(V2, body).await;
    assert!(moved.position().is_some());
    let moved = moved.expect(200);
    assert_eq!(
        (&moved["uuid"], &moved["number"]),
        (&json!(alice.aci), &json!(NEW))
    );
    let pni = moved["pni"].as_str().unwrap();
    assert_ne!(pni, alice.pni);
    let whoami = alice.client.get("/v1/accounts/whoami").await.expect(200);
    assert_eq!(whoami, moved, "whoami says the same");

    let bundle = pni_keys(&bob, pni).await;
    assert_eq!(bundle["identityKey"], b64(keys.pni.public_key()));
    let registration_ids: Vec<_> = bundle["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["registrationId"].as_u64())
        .collect();
    assert_eq!(registration_ids, [Some(301), Some(302)]);
    let old = format!("/v2/keys/PNI:{}/*", alice.pni);
    bob.client.get(&old).await.expect(404);

    let mail = tablet.client.get("/v1/messages").await.expect(200);
    let told = &mail["messages"][0];
    assert_eq!(told["updatedPni"], pni);
    assert_eq!(
        (&told["sourceUuid"], &told["sourceDevice"]),
        (&json!(alice.aci), &json!(1))
    );
    let by_number = door.client().basic(NEW, "password");
    by_number.get("/v1/accounts/whoami").await.expect(200);
}

#[tokio::test]
async fn whoever_has_the_number_loses_their_account_and_may_come_back_under_the_one_left() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let bob = door.register(NEW).await;
    let upload = json!({ "preKeys": [ec_pre_key(5)] });
    bob.client
        .put("/v2/keys?identity=pni", upload)
        .await
        .expect(204);
    let keys = Identities::generate(77);
    let session = door.verify(NEW).await;
    let moved = alice.client.put(V2, change(&session, &keys, 1)).await;
    let pni = moved.expect(200)["pni"].as_str().unwrap().to_owned();
    assert_eq!(pni, bob.pni);
    bob.client.get("/v1/accounts/whoami").await.expect(401);
    let carol = door.register("+12015550125").await;
    let bundle = pni_keys(&carol, &pni).await;
    assert_eq!(bundle["devices"][0]["preKey"], Value::Null);
    let counts = alice.client.get("/v2/keys?identity=pni").await.expect(200);
    assert_eq!(counts, json!({ "count": 0, "pqCount": 0 }));
    let back = door.register(OLD).await;
    assert_eq!(back.aci, bob.aci);
}

#[tokio::test]
async fn the_lock_of_whoever_has_the_number_holds() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let bob = door.register(NEW).await;
    let lock = "cd".repeat(32);
    let set = json!({ "registrationLock": lock });
    let path = "/v1/accounts/registration_lock";
    bob.client.put(path, set).await.expect(204);
    let session = door.verify(NEW).await;
    let mut body = change(&session, &Identities::generate(77), 1);
    let locked = alice.client.put(V2, body.clone()).await.expect(423);
    assert_eq!(locked["timeRemaining"], 7 * 24 * 60 * 60 * 1000);
    assert!(locked["svr2Credentials"]["username"].is_string());
    bob.client.get("/v1/accounts/whoami").await.expect(401);
    body["reglock"] = json!(lock);
    alice.client.put(V2, body).await.expect(200);
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_refused() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    door.link(&alice, "tablet").await;
    let session = door.verify(NEW).await;
    let body = change(&session, &Identities::generate(77), 2);
    let with = |pointer: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (pointer, value, status) in [
        ("/sessionId", Value::Null, 422),
        ("/sessionId", json!("!"), 422),
        ("/sessionId", json!("AAAAAAAAAAAAAAAAAAAAAA=="), 401),
        ("/number", json!("+1"), 422),
        ("/number", json!("+12015550177"), 400),
        ("/pniIdentityKey", Value::Null, 422),
        ("/deviceMessages", Value::Null, 422),
        ("/deviceMessages", json!([]), 200),
        ("/deviceMessages/0/destinationRegistrationId", json!(1), 410),
        ("/deviceMessages/0/destinationDeviceId", json!(3), 409),
        ("/devicePniSignedPrekeys", json!({}), 422),
        (
            "/devicePniSignedPrekeys/1/signature",
            json!(b64([0; 64])),
            422,
        ),
        ("/pniRegistrationIds/2", json!(0), 422),
        ("/pniRegistrationIds", json!({ "1": 5 }), 409),
    ] {
        let reply = alice.client.put(V2, with(pointer, value)).await;
        assert_eq!(reply.status.as_u16(), status, "{pointer}: {:?}", reply.body);
        if status == 200 {
            // Back to where the next one starts from.
            let back = door.verify(OLD).await;
            let mut body = with("/number", json!(OLD));
            body["sessionId"] = json!(back);
            alice.client.put(V2, body).await.expect(200);
        }
    }
}

#[tokio::test]
async fn new_keys_for_the_same_number_need_no_proof() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let bob = door.register("+12015550124").await;
    let keys = Identities::generate(78);
    let mut body = change("AAAAAAAAAAAAAAAAAAAAAA==", &keys, 1);
    body["number"] = json!(OLD);
    let same = alice.client.put(V2, body).await.expect(200);
    assert_eq!(same["pni"], alice.pni);
    let bundle = pni_keys(&bob, &alice.pni).await;
    assert_eq!(bundle["identityKey"], b64(keys.pni.public_key()));
}

#[tokio::test]
async fn a_recovery_password_of_the_number_is_a_proof() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let bob = door.register(NEW).await;
    let mut attributes = crate::support::device::attributes();
    attributes["recoveryPassword"] = json!(b64([9; 32]));
    let path = "/v1/accounts/attributes";
    bob.client.put(path, attributes).await.expect(204);
    let mut body = change("", &Identities::generate(77), 1);
    body["sessionId"] = Value::Null;
    body["recoveryPassword"] = json!(b64([8; 32]));
    alice.client.put(V2, body.clone()).await.expect(403);
    body["recoveryPassword"] = json!(b64([9; 32]));
    alice.client.put(V2, body).await.expect(200);
}

#[tokio::test]
async fn an_account_that_was_registered_a_moment_ago_waits_where_the_operator_says_so() {
    let config = Config {
        number_waiting_period: Duration::from_mins(5),
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let alice = door.register(OLD).await;
    let session = door.verify(NEW).await;
    let body = change(&session, &Identities::generate(77), 1);
    door.clock.advance(Duration::from_mins(4));
    let early = alice.client.put(V2, body.clone()).await;
    assert_eq!(early.header("retry-after"), Some("60"));
    assert_eq!((early.status.as_u16(), early.body.len()), (429, 0));
    door.clock.advance(Duration::from_mins(1));
    alice.client.put(V2, body).await.expect(200);
}

#[tokio::test]
async fn in_the_published_contract_a_used_number_is_refused() {
    let door = Door::open().await;
    let alice = door.register(OLD).await;
    let bob = door.register("+12015550124").await;
    let bare = json!({ "number": NEW, "registrationLock": "" });
    alice.client.put(V1, bare.clone()).await.expect(403);
    let lockless = json!({ "number": NEW });
    alice.client.put(V1, lockless).await.expect(422);
    let mut proved = bare.clone();
    proved["sessionId"] = json!(door.verify(NEW).await);
    let moved = alice.client.put(V1, proved).await.expect(200);
    assert_eq!(moved["number"], NEW);
    let pni = moved["pni"].as_str().unwrap();
    let path = format!("/v2/keys/PNI:{pni}/*");
    bob.client.get(&path).await.expect(404);
    let mut used = json!({ "number": NEW, "registrationLock": "" });
    used["sessionId"] = json!(door.verify(NEW).await);
    bob.client.put(V1, used).await.expect(409);
    alice.client.get("/v1/accounts/whoami").await.expect(200);
}

#[tokio::test]
async fn an_operator_may_take_clients_of_the_published_contract_at_their_word() {
    let config = Config {
        unproved_numbers: true,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let alice = door.register(OLD).await;
    let bare = json!({ "number": NEW, "registrationLock": "" });
    let moved = alice.client.put(V1, bare).await.expect(200);
    assert_eq!(moved["number"], NEW);
}
