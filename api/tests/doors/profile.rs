//! `/v1/profile`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use crypto::access_key;
use crypto::zk::profile::{Commitment, Request, version};
use events::Aci;
use events::ports::Entropy;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::environment::SeededEntropy;

use crate::support::device::ACCESS_KEY;
use crate::support::{Device, Door};

const NUMBER: &str = "+12015550141";

fn padded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A profile key of a device's account, and what its owner makes of it.
struct ProfileKey([u8; 32], Aci);

impl ProfileKey {
    fn of(device: &Device, fill: u8) -> Self {
        Self([fill; 32], device.aci.parse().unwrap())
    }

    fn version(&self) -> String {
        version(&self.0, self.1)
    }

    /// A complete body.
    fn body(&self, name: u8) -> Value {
        json!({
            "version": self.version(),
            "commitment": padded(Commitment::of(&self.0, self.1).to_bytes()),
            "name": padded([name; 81]),
            "about": padded([2; 156]),
            "aboutEmoji": padded([3; 60]),
            "phoneNumberSharing": padded([4; 29]),
            "avatar": false,
            "badgeIds": [],
        })
    }

    fn request(&self) -> String {
        let entropy: &dyn Entropy = &SeededEntropy::new(9);
        hex::encode(Request::of(&self.0, self.1, &mut entropy.rng()).to_bytes())
    }
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_version_is_shown_as_it_was_written() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550142").await,
    );
    let key = ProfileKey::of(&bob, 1);
    let set = bob.client.put("/v1/profile", key.body(1)).await;
    assert_eq!((set.status.as_u16(), set.body.len()), (200, 0));
    assert!(set.position().is_some());

    let path = format!("/v1/profile/{}/{}", bob.aci, key.version());
    let shown = alice.client.get(&path).await.expect(200);
    let checksum = access_key::checksum(&ACCESS_KEY.to_vec().try_into().unwrap());
    assert_eq!(
        shown,
        json!({
            "identityKey": padded(bob.keys.aci.public_key()),
            "unidentifiedAccess": padded(checksum),
            "unrestrictedUnidentifiedAccess": false,
            "capabilities": {
                "attachmentBackfill": false,
                "spqr": true,
                "profiles_v2": false,
                "usernameChangeSyncMessage": true,
            },
            "badges": [],
            "uuid": bob.aci,
            "name": padded([1; 81]),
            "about": padded([2; 156]),
            "aboutEmoji": padded([3; 60]),
            "paymentAddress": null,
            "phoneNumberSharing": padded([4; 29]),
            "avatar": null,
        })
    );
    let unversioned = format!("/v1/profile/{}", bob.aci);
    let current = alice.client.get(&unversioned).await.expect(200);
    assert_eq!(current, with(shown, "credential", Value::Null));
    let number = format!("/v1/profile/PNI:{}", bob.pni);
    let number = alice.client.get(&number).await.expect(200);
    assert_eq!(number["uuid"], format!("PNI:{}", bob.pni));
    assert_eq!(number["identityKey"], padded(bob.keys.pni.public_key()));
    assert_eq!(number["unidentifiedAccess"], Value::Null);
    assert_eq!(number.get("name"), None);
    let unknown = format!("/v1/profile/{}/{}", bob.aci, "ab".repeat(32));
    assert_eq!(
        alice.client.get(&unknown).await.expect(200)["name"],
        Value::Null
    );
}

#[tokio::test]
async fn who_may_see_a_profile() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550142").await,
    );
    let with_key = || {
        door.client()
            .with("unidentified-access-key", padded(ACCESS_KEY))
    };
    let wrong = || {
        door.client()
            .with("unidentified-access-key", padded([9; 16]))
    };
    let member = |of: &str| {
        door.client()
            .with("group-send-token", door.group_token(&[of]))
    };
    let gone = "00000000-0000-4000-8000-000000000000";
    let pni = format!("PNI:{}", bob.pni);
    let version = |aci: &str| format!("{aci}/{}", "ab".repeat(32));
    for (client, path, status) in [
        (alice.client.clone(), bob.aci.clone(), 200),
        (alice.client.clone(), pni.clone(), 200),
        (alice.client.clone(), gone.to_owned(), 404),
        (alice.client.clone(), "x".to_owned(), 404),
        (door.client(), bob.aci.clone(), 401),
        (with_key(), bob.aci.clone(), 200),
        (with_key(), pni.clone(), 401),
        (with_key(), gone.to_owned(), 401),
        (wrong(), bob.aci.clone(), 401),
        (member(&bob.aci), bob.aci.clone(), 200),
        (member(&pni), pni.clone(), 200),
        (member(gone), gone.to_owned(), 404),
        (member(gone), bob.aci.clone(), 401),
        (
            member(&bob.aci).with("unidentified-access-key", padded(ACCESS_KEY)),
            bob.aci.clone(),
            400,
        ),
        (
            alice.client.clone().with("group-send-token", "AAAA"),
            bob.aci.clone(),
            200,
        ),
        (with_key(), version(&bob.aci), 200),
        (wrong(), version(&bob.aci), 401),
        (member(&bob.aci), version(&bob.aci), 401),
        (alice.client.clone(), version(&pni), 404),
        (alice.client.clone(), version(gone), 404),
    ] {
        let reply = client.get(&format!("/v1/profile/{path}")).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn versions_stand_beside_each_other_and_go_with_the_account() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let keys = [ProfileKey::of(&bob, 1), ProfileKey::of(&bob, 2)];
    for (name, key) in (1..).zip(&keys) {
        let body = with(key.body(name), "paymentAddress", json!(padded([5; 582])));
        bob.client.put("/v1/profile", body).await.expect(200);
    }
    let shown = async |bob: &Device, key: &ProfileKey| {
        let path = format!("/v1/profile/{}/{}", bob.aci, key.version());
        bob.client.get(&path).await.expect(200)
    };
    let [old, new] = [shown(&bob, &keys[0]).await, shown(&bob, &keys[1]).await];
    assert_eq!(
        (&old["name"], &new["name"]),
        (&json!(padded([1; 81])), &json!(padded([2; 81])))
    );
    assert_eq!(
        old["paymentAddress"],
        Value::Null,
        "only in the current version"
    );
    assert_eq!(new["paymentAddress"], padded([5; 582]));
    let again = door.register(NUMBER).await;
    assert_eq!(again.aci, bob.aci);
    assert_eq!(shown(&again, &keys[1]).await["name"], Value::Null);
}

#[tokio::test]
async fn a_picture_is_uploaded_by_a_form_and_kept_on_request() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let key = ProfileKey::of(&bob, 1);
    let put = async |avatar: bool, same: bool| {
        let body = with(key.body(1), "avatar", json!(avatar));
        bob.client
            .put("/v1/profile", with(body, "sameAvatar", json!(same)))
            .await
    };
    let shown = async || {
        let path = format!("/v1/profile/{}/{}", bob.aci, key.version());
        bob.client.get(&path).await.expect(200)["avatar"].clone()
    };
    put(true, true).await.expect(200);
    assert_eq!(shown().await, Value::Null, "there is none to keep");
    let form = put(true, false).await.expect(200);
    for field in ["credential", "date", "policy", "signature"] {
        assert!(form[field].is_string(), "{field}");
    }
    assert_eq!(
        (&form["acl"], &form["algorithm"]),
        (&json!("private"), &json!("AWS4-HMAC-SHA256"))
    );
    assert_eq!(shown().await, form["key"]);
    assert!(put(true, true).await.body.is_empty());
    assert_eq!(shown().await, form["key"]);
    let other = put(true, false).await.expect(200);
    assert_ne!(other["key"], form["key"]);
    put(false, false).await.expect(200);
    assert_eq!(shown().await, Value::Null);
}

#[tokio::test]
async fn bodies_that_break_rules_change_nothing() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let key = ProfileKey::of(&bob, 1);
    for (field, value) in [
        ("version", Value::Null),
        ("version", json!("ab")),
        ("version", json!("xy".repeat(32))),
        ("version", json!(7)),
        ("commitment", Value::Null),
        ("commitment", json!(padded([0; 96]))),
        ("commitment", json!(padded([0xff; 97]))),
        ("commitment", json!("*")),
        ("name", Value::Null),
        ("name", json!(padded([1; 80]))),
        ("name", json!(padded([1; 286]))),
        ("about", json!(padded([1; 157]))),
        ("aboutEmoji", json!(padded([1; 61]))),
        ("paymentAddress", json!(padded([1; 581]))),
        ("phoneNumberSharing", json!(padded([1; 28]))),
        ("avatar", json!("yes")),
        ("badgeIds", json!("BADGE")),
    ] {
        let reply = bob
            .client
            .put("/v1/profile", with(key.body(1), field, value.clone()))
            .await;
        assert_eq!(reply.status.as_u16(), 422, "{field} {value}");
    }
    let path = format!("/v1/profile/{}/{}", bob.aci, key.version());
    assert_eq!(bob.client.get(&path).await.expect(200)["name"], Value::Null);
    let accepted = with(
        key.body(1),
        "name",
        json!(padded([1; 81]).trim_end_matches('=')),
    );
    bob.client.put("/v1/profile", accepted).await.expect(200);
    assert_eq!(
        door.client()
            .put("/v1/profile", key.body(1))
            .await
            .status
            .as_u16(),
        401
    );
}

#[tokio::test]
async fn clients_that_know_no_versions_have_a_profile_too() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let body = json!({ "name": padded("bob"), "about": padded("hello") });
    bob.client.put("/v1/profile", body).await.expect(200);
    let shown = bob
        .client
        .get(&format!("/v1/profile/{}", bob.aci))
        .await
        .expect(200);
    assert_eq!(
        (&shown["name"], &shown["about"]),
        (&json!(padded("bob")), &json!(padded("hello")))
    );
    let long = json!({ "name": padded([1; 1025]) });
    assert_eq!(
        bob.client.put("/v1/profile", long).await.status.as_u16(),
        422
    );
}

#[tokio::test]
async fn accounts_of_the_second_form_do_not_write_in_the_first() {
    let door = Door::open().await;
    let bob = door.register(NUMBER).await;
    let mut attributes = crate::support::device::attributes();
    attributes["capabilities"] = json!({ "profiles_v2": true });
    bob.client
        .put("/v1/accounts/attributes", attributes)
        .await
        .expect(204);
    let set = bob
        .client
        .put("/v1/profile", ProfileKey::of(&bob, 1).body(1))
        .await;
    assert_eq!((set.status.as_u16(), set.body.len()), (412, 0));
    let shown = bob
        .client
        .get(&format!("/v1/profile/{}", bob.aci))
        .await
        .expect(200);
    assert_eq!(shown["capabilities"]["profiles_v2"], true);
}

#[tokio::test]
async fn payment_addresses_are_barred_by_how_a_number_begins() {
    let config = api::Config {
        payments_barred: vec!["+1201555014".into()],
        ..api::Config::default()
    };
    let door = Door::open_with(config).await;
    let (barred, free) = (
        door.register(NUMBER).await,
        door.register("+12015550151").await,
    );
    for (device, status) in [(&barred, 403), (&free, 200)] {
        let key = ProfileKey::of(device, 1);
        let body = with(key.body(1), "paymentAddress", json!(padded([5; 582])));
        let reply = device.client.put("/v1/profile", body).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (status, 0));
        device
            .client
            .put("/v1/profile", key.body(1))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_credential_is_for_the_current_version_and_a_proved_key() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550142").await,
    );
    let (old, new) = (ProfileKey::of(&bob, 1), ProfileKey::of(&bob, 2));
    for key in [&old, &new] {
        bob.client.put("/v1/profile", key.body(1)).await.expect(200);
    }
    let get = async |version: &str, request: &str, kind: &str| {
        let path = format!(
            "/v1/profile/{}/{version}/{request}?credentialType={kind}",
            bob.aci
        );
        alice.client.get(&path).await
    };
    let kind = "expiringProfileKey";
    let issued = get(&new.version(), &new.request(), kind).await.expect(200);
    let credential = BASE64_STANDARD
        .decode(issued["credential"].as_str().unwrap())
        .unwrap();
    assert_eq!(credential.len(), 497);
    assert_eq!(issued["name"], padded([1; 81]));
    let stale = get(&old.version(), &old.request(), kind).await.expect(200);
    assert_eq!(stale["credential"], Value::Null);
    for (request, kind) in [
        (new.request(), "nonsense"),
        (new.request(), ""),
        (old.request(), kind),
        ("zz".to_owned(), kind),
        ("00".repeat(329), kind),
    ] {
        let reply = get(&new.version(), &request, kind).await;
        assert_eq!(reply.status.as_u16(), 400, "{kind} {request}");
    }
}

#[tokio::test]
async fn identities_with_another_key_are_found() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550142").await,
    );
    let fingerprint = |key: &[u8]| padded(&Sha256::digest(key)[..4]);
    let (alices, bobs) = (alice.keys.aci.public_key(), bob.keys.pni.public_key());
    let check = async |elements: Value| {
        let body = json!({ "elements": elements });
        door.client()
            .post("/v1/profile/identity_check/batch", body)
            .await
    };
    let pni = format!("PNI:{}", bob.pni);
    let answer = check(json!([
        { "uuid": alice.aci, "fingerprint": fingerprint(alices.as_ref()) },
        { "uuid": pni, "fingerprint": fingerprint(alices.as_ref()) },
        { "uuid": "00000000-0000-4000-8000-000000000000", "fingerprint": fingerprint(b"x") },
    ]))
    .await;
    let changed = json!({ "uuid": pni, "identityKey": padded(bobs) });
    assert_eq!(answer.expect(200), json!({ "elements": [changed] }));
    let known = json!({ "uuid": alice.aci, "fingerprint": fingerprint(b"x") });
    check(json!(vec![known.clone(); 1000])).await.expect(200);
    for wrong in [
        json!([]),
        json!(vec![known; 1001]),
        json!([{ "uuid": alice.aci, "fingerprint": "AAAA" }]),
        json!([{ "uuid": "x", "fingerprint": "AAAAAA==" }]),
        Value::Null,
    ] {
        assert_eq!(check(wrong).await.status.as_u16(), 422);
    }
}
