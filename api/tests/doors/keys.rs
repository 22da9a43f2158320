//! `/v2/keys`.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use crypto::keys::EcPrivateKey;
use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::device::{
    ACCESS_KEY, PNI_REGISTRATION_ID, REGISTRATION_ID, b64, ec_pre_key, kyber_pre_key,
    signed_pre_key,
};
use crate::support::{Device, Door};

const NUMBER: &str = "+12015550123";

fn upload(device: &Device, ec: std::ops::Range<u64>, kyber: std::ops::Range<u64>) -> Value {
    json!({
        "preKeys": ec.map(ec_pre_key).collect::<Vec<_>>(),
        "pqPreKeys": kyber.map(|id| kyber_pre_key(&device.keys.aci, id)).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn a_group_member_reaches_both_identities_and_learns_who_is_gone() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let fetch = async |shown: &str, target: &str| {
        let client = door.client().with("group-send-token", shown);
        let reply = client.get(&format!("/v2/keys/{target}/1")).await;
        reply.status.as_u16()
    };
    let by_pni = format!("PNI:{}", bob.pni);
    let gone = "00000000-0000-4000-8000-000000000000";
    for target in [bob.aci.as_str(), &by_pni] {
        assert_eq!(fetch(&door.group_token(&[target]), target).await, 200);
    }
    assert_eq!(fetch(&door.group_token(&[gone]), gone).await, 404);
    let for_other = door.group_token(&[gone]);
    assert_eq!(fetch(&for_other, &bob.aci).await, 401, "of another group");
    let expired = door.group_token(&[&bob.aci]);
    door.clock.advance(Duration::from_hours(4 * 24));
    assert_eq!(fetch(&expired, &bob.aci).await, 401, "expired");
}

#[tokio::test]
async fn each_key_is_given_away_once_and_then_the_last_resort() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550124").await,
    );
    bob.client
        .put("/v2/keys?identity=aci", upload(&bob, 100..103, 200..202))
        .await
        .expect(204);
    let counts = bob.client.get("/v2/keys?identity=aci").await.expect(200);
    assert_eq!(counts, json!({ "count": 3, "pqCount": 2 }));

    let path = format!("/v2/keys/{}/*", bob.aci);
    let fetches = join_all((0..4).map(|_| alice.client.get(&path))).await;
    let devices: Vec<_> = fetches
        .iter()
        .map(|reply| reply.expect(200)["devices"][0].clone())
        .collect();
    let ids = |field: &str| {
        devices
            .iter()
            .filter_map(|device| device[field]["keyId"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        BTreeSet::from_iter(ids("preKey")),
        BTreeSet::from([100, 101, 102])
    );
    let mut kyber = ids("pqPreKey");
    kyber.sort_unstable();
    assert_eq!(kyber, [3, 3, 200, 201], "3 is the last resort");
    assert!(devices.iter().any(|device| device["preKey"] == Value::Null));
    assert!(fetches.iter().any(|reply| reply.position().is_some()));
    assert_eq!(
        bob.client.get("/v2/keys").await.expect(200),
        json!({ "count": 0, "pqCount": 0 })
    );
}

#[tokio::test]
async fn a_bundle_holds_what_was_uploaded_for_the_identity() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550124").await,
    );
    let bundle = alice
        .client
        .get(&format!("/v2/keys/{}/1", bob.aci))
        .await
        .expect(200);
    let expected = json!({
        "identityKey": b64(bob.keys.aci.public_key()),
        "devices": [{
            "deviceId": 1,
            "registrationId": REGISTRATION_ID,
            "signedPreKey": signed_pre_key(&bob.keys.aci, 1),
            "preKey": null,
            "pqPreKey": kyber_pre_key(&bob.keys.aci, 3),
        }],
    });
    assert_eq!(bundle, expected);
    let by_number = alice
        .client
        .get(&format!("/v2/keys/PNI:{}/*", bob.pni))
        .await
        .expect(200);
    assert_eq!(by_number["identityKey"], b64(bob.keys.pni.public_key()));
    assert_eq!(
        by_number["devices"][0]["registrationId"],
        PNI_REGISTRATION_ID
    );
    let by_e164 = alice
        .client
        .get("/v2/keys/+12015550124/*")
        .await
        .expect(200);
    assert_eq!(by_e164["identityKey"], bundle["identityKey"]);
}

#[tokio::test]
async fn who_may_fetch_keys() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550124").await,
    );
    let path = format!("/v2/keys/{}/*", bob.aci);
    let key = b64(ACCESS_KEY);
    let anonymous = door.client();
    let status = |client: crate::support::Client, path: &str| {
        let path = path.to_owned();
        async move { client.get(&path).await.status.as_u16() }
    };
    assert_eq!(status(anonymous.clone(), &path).await, 401);
    assert_eq!(
        status(
            anonymous.clone().with("unidentified-access-key", &key),
            &path
        )
        .await,
        200
    );
    assert_eq!(
        status(
            anonymous
                .clone()
                .with("Unidentified-Access-Key".to_lowercase().leak(), "AAAA"),
            &path
        )
        .await,
        401
    );
    let wrong_password = door
        .client()
        .basic(&alice.aci, "x")
        .with("unidentified-access-key", &key);
    assert_eq!(
        status(wrong_password, &path).await,
        200,
        "wrong credentials count as none"
    );

    let token = anonymous.clone().with("group-send-token", "AAAA");
    assert_eq!(status(token.clone(), &path).await, 401);
    assert_eq!(
        status(token.with("unidentified-access-key", &key), &path).await,
        400
    );
    assert_eq!(
        status(alice.client.clone().with("group-send-token", "AAAA"), &path).await,
        400
    );

    let unknown = "/v2/keys/00000000-0000-4000-8000-000000000000/*";
    assert_eq!(status(alice.client.clone(), unknown).await, 404);
    assert_eq!(
        status(
            anonymous.clone().with("unidentified-access-key", &key),
            unknown
        )
        .await,
        401
    );
    let by_number = format!("/v2/keys/PNI:{}/*", bob.pni);
    assert_eq!(
        status(
            anonymous.clone().with("unidentified-access-key", &key),
            &by_number
        )
        .await,
        401
    );
    for (path, expected) in [
        ("x/*", 404),
        ("+1/*", 404),
        (&format!("{}/x", bob.aci), 422),
        (&format!("{}/2", bob.aci), 404),
    ] {
        assert_eq!(
            status(alice.client.clone(), &format!("/v2/keys/{path}")).await,
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_number_that_does_not_want_to_be_found_is_not() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550124").await,
    );
    let mut attributes = crate::support::device::attributes();
    attributes["discoverableByPhoneNumber"] = json!(false);
    bob.client
        .put("/v1/accounts/attributes", attributes)
        .await
        .expect(204);
    alice
        .client
        .get("/v2/keys/+12015550124/*")
        .await
        .expect(404);
    let anonymous = door
        .client()
        .with("unidentified-access-key", b64(ACCESS_KEY));
    anonymous.get("/v2/keys/+12015550124/*").await.expect(401);
}

#[tokio::test]
async fn uploads_that_break_rules_change_nothing() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let put = |query: &'static str, body| {
        let client = bob.client.clone();
        async move { client.put(&format!("/v2/keys{query}"), body).await }
    };
    put("?identity=aci", upload(&bob, 0..101, 0..0))
        .await
        .expect(422);
    let forged = json!({ "signedPreKey": signed_pre_key(&bob.keys.pni, 9) });
    assert_eq!(
        put("", forged).await.expect(422)["message"],
        "Invalid signature"
    );
    for body in [
        json!({ "preKeys": [{ "keyId": 1, "publicKey": "AAAA" }] }),
        json!({ "preKeys": [{ "keyId": -1, "publicKey": b64([5; 33]) }] }),
        json!({ "preKeys": [{ "keyId": 1_u64 << 31, "publicKey": b64([5; 33]) }] }),
        json!([1]),
    ] {
        let refused = put("", body).await;
        assert_eq!((refused.status.as_u16(), refused.body.len()), (422, 0));
    }
    let errors = put("?identity=xyz", json!({})).await.expect(400);
    assert!(
        errors["errors"][0]
            .as_str()
            .unwrap()
            .contains("must be one of [ACI, PNI]"),
        "{errors}"
    );
    put("?identity=PNI", json!({ "preKeys": [ec_pre_key(7)] }))
        .await
        .expect(204);
    let counts = |query| bob.client.send("GET", query, None);
    assert_eq!(counts("/v2/keys").await.expect(200)["count"], 0);
    assert_eq!(
        counts("/v2/keys?identity=pni").await.expect(200)["count"],
        1
    );
    let other = door.client().official().basic(&bob.aci, "password");
    let identity = json!({ "identityKey": b64(bob.keys.pni.public_key()) });
    other.put("/v2/keys", identity).await.expect(204);
}

/// What clients make of the keys that they hand out again and again.
fn digest(identity: &EcPrivateKey, signed: &Value, last_resort: &Value) -> String {
    let mut digest = Sha256::new_with_prefix(identity.public_key());
    for key in [signed, last_resort] {
        let public_key = key["publicKey"].as_str().unwrap();
        digest.update(key["keyId"].as_u64().unwrap().to_be_bytes());
        digest.update(BASE64_STANDARD_NO_PAD.decode(public_key).unwrap());
    }
    b64(digest.finalize())
}

#[tokio::test]
async fn a_device_learns_whether_the_server_has_the_keys_that_it_thinks() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let (aci, pni) = (&bob.keys.aci, &bob.keys.pni);
    let check = async |identity: &str, digest: &str| {
        let body = json!({ "identityType": identity, "digest": digest });
        let reply = bob.client.post("/v2/keys/check", body).await;
        assert!(reply.body.is_empty() || reply.status == 422);
        reply.status.as_u16()
    };
    let first = digest(aci, &signed_pre_key(aci, 1), &kyber_pre_key(aci, 3));
    assert_eq!(check("aci", &first).await, 200);
    assert_eq!(check("ACI", &format!("{first}=")).await, 200);
    assert_eq!(check("pni", &first).await, 409);
    let of_number = digest(pni, &signed_pre_key(pni, 2), &kyber_pre_key(pni, 4));
    assert_eq!(check("PNI", &of_number).await, 200);

    let (signed, last_resort) = (signed_pre_key(aci, 21), kyber_pre_key(aci, 22));
    let body = json!({ "signedPreKey": signed });
    bob.client.put("/v2/keys", body).await.expect(204);
    assert_eq!(check("aci", &first).await, 409);
    let second = digest(aci, &signed, &kyber_pre_key(aci, 3));
    assert_eq!(check("aci", &second).await, 200);
    let body = json!({ "pqLastResortPreKey": last_resort });
    bob.client.put("/v2/keys", body).await.expect(204);
    assert_eq!(check("aci", &second).await, 409);
    assert_eq!(check("aci", &digest(aci, &signed, &last_resort)).await, 200);
    assert_eq!(check("PNI", &of_number).await, 200);

    let tablet = door.link(&bob, "tablet").await;
    let linked = digest(aci, &signed_pre_key(aci, 11), &kyber_pre_key(aci, 13));
    let body = json!({ "identityType": "aci", "digest": linked });
    tablet.client.post("/v2/keys/check", body).await.expect(200);

    assert_eq!(check("aci", "AAAA").await, 422);
    assert_eq!(check("aci", "***").await, 422);
    assert_eq!(check("number", &first).await, 422);
    let anonymous = door.client().post("/v2/keys/check", json!({})).await;
    anonymous.expect(401);
}
