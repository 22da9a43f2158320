//! The published contract (the seed) and that of deployed clients, side by side: each operation of the seed, with the server
//! switched to the one and to the other. What is the same in both is asked of both.

use std::collections::BTreeMap;

use api::Config;
use api::config::DialectSwitch;
use api::config::DialectSwitch::{Deployed, Seed};
use serde_json::{Value, json};

use crate::contract::SEED;
use crate::support::device::{Identities, attributes, b64, link_body, message, registration};
use crate::support::device::{ec_pre_key, kyber_pre_key, signed_pre_key};
use crate::support::{Client, Door, Reply};
use crate::usernames::{hash, proof, reserve};

const NUMBER: &str = "+12015550181";
const OTHER: &str = "+12015550182";
const THIRD: &str = "+12015550183";
const STRANGER: &str = "00000000-0000-4000-8000-000000000000";
const BOTH: [DialectSwitch; 2] = [Seed, Deployed];

async fn door(dialect: DialectSwitch) -> Door {
    Door::open_with(Config {
        dialect,
        ..Config::default()
    })
    .await
}

/// One status in the one dialect, another in the other.
fn either<T>(dialect: DialectSwitch, seed: T, deployed: T) -> T {
    if dialect == Seed { seed } else { deployed }
}

/// That the answer has every property that the seed's schema of this name has.
#[track_caller]
fn conforms(schema: &str, value: &Value) {
    let fact = format!("schema {schema} ");
    let properties = SEED.lines().find_map(|line| line.strip_prefix(&fact));
    for property in properties.unwrap().split(' ') {
        assert!(
            value.get(property).is_some(),
            "{schema}.{property}: {value}"
        );
    }
}

/// Asserts that an operation needs credentials.
async fn needs_credentials(door: &Door, verb: &str, path: &str) {
    let reply = door.client().json(verb, path, json!({})).await;
    assert_eq!(reply.status, 401, "{verb} {path}");
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    assert!(reply.header("www-authenticate").is_some());
}

fn status(reply: &Reply) -> u16 {
    reply.status.as_u16()
}

/// An account in the form of the dialect; its client's name tells nothing.
async fn account(door: &Door, number: &str) -> (Client, Value) {
    let session = door.verify(number).await;
    let keys = Identities::generate(number.len() as u64 + u64::from(number.as_bytes()[11]));
    let client = door.client().basic(number, "password");
    let body = registration(&session, &keys);
    let account = client.post("/v1/registration", body).await.expect(200);
    let client = door.client();
    (
        client.basic(account["uuid"].as_str().unwrap(), "password"),
        account,
    )
}

/// `registerAccount`
#[tokio::test]
async fn register_account() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let client = door.client().basic(NUMBER, "password");
        let path = "/v1/registration";
        let session = door.verify(NUMBER).await;
        let bare =
            json!({ "sessionId": session, "accountAttributes": { "fetchesMessages": true } });
        let reply = client.post(path, bare).await;
        assert_eq!(status(&reply), either(dialect, 200, 422), "without keys");
        let whole = registration(&session, &Identities::generate(1));
        let registered = client.post(path, whole.clone()).await.expect(200);
        conforms("RegistrationResponse", &registered);
        // That there is an account already is no reason to refuse a number that is verified.
        client.post(path, whole.clone()).await.expect(200);
        for malformed in [json!({}), json!([]), json!(null), json!({ "sessionId": 7 })] {
            let refused = client.post(path, malformed.clone()).await;
            assert_eq!(status(&refused), either(dialect, 400, 422), "{malformed}");
        }
        let broken = client.send("POST", path, Some(b"{".to_vec())).await;
        assert_eq!(status(&broken), 400);

        let mut can_transfer = whole.clone();
        can_transfer["accountAttributes"]["capabilities"]["transfer"] = json!(true);
        client.post(path, can_transfer).await.expect(200);
        let mut transfer = whole;
        transfer["skipDeviceTransfer"] = json!(false);
        let refused = client.post(path, transfer).await;
        assert_eq!((status(&refused), refused.body.len()), (409, 0));
    }
}

/// `getAccountIdentity`
#[tokio::test]
async fn get_account_identity() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, registered) = account(&door, NUMBER).await;
        let path = "/v1/accounts/whoami";
        let identity = client.get(path).await.expect(200);
        conforms("AccountIdentity", &identity);
        assert_eq!(identity["uuid"], registered["uuid"]);
        // The number stands in for the account's id.
        let by_number = door.client().basic(NUMBER, "password");
        assert_eq!(by_number.get(path).await.expect(200), identity);
        needs_credentials(&door, "GET", path).await;
    }
}

/// `setAccountAttributes`
#[tokio::test]
async fn set_account_attributes() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, registered) = account(&door, NUMBER).await;
        let profile = format!("/v1/profile/{}", registered["uuid"].as_str().unwrap());
        let before = client.get(&profile).await.expect(200);
        for path in ["/v1/accounts/attributes", "/v1/accounts/attributes/"] {
            let reply = client.put(path, attributes()).await;
            assert_eq!((status(&reply), reply.body.len()), (204, 0));
            let unknown = json!({ "capabilities": { "paymentActivation": true } });
            let reply = client.put(path, unknown).await;
            assert_eq!(
                status(&reply),
                either(dialect, 204, 422),
                "nothing required"
            );
            let wrong = json!({ "unidentifiedAccessKey": "AAAA" });
            assert_eq!(status(&client.put(path, wrong).await), 422);
            needs_credentials(&door, "PUT", path).await;
        }
        let after = client.get(&profile).await.expect(200);
        let key = "unidentifiedAccess";
        assert_eq!(after[key], before[key], "a key that is not said stays");
    }
}

/// `confirmUsernameHash`
#[tokio::test]
async fn confirm_username_hash() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, bob) = (
            account(&door, NUMBER).await.0,
            account(&door, OTHER).await.0,
        );
        let path = |name: &str| format!("/v1/accounts/username_hash/{}", hash(name));
        let body = |name: &str| json!({ "usernameHash": hash(name), "zkProof": proof(name) });
        let confirmed = alice.put(&path("alice"), body("alice")).await.expect(200);
        assert_eq!(confirmed["usernameHash"], hash("alice"));
        // The statuses of this path, not those of `…/confirm`, whose 409 and 410 mean other things.
        bob.put(&path("alice"), body("alice")).await.expect(409);
        reserve(&bob, &["bob"]).await.expect(200);
        door.clock.advance(std::time::Duration::from_mins(6));
        bob.put(&path("bob"), body("bob")).await.expect(410);
        bob.put(&path("carol"), body("bob")).await.expect(422);
        needs_credentials(&door, "PUT", &path("alice")).await;
    }
}

/// `lookupUsernameHash`
#[tokio::test]
async fn lookup_username_hash() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, registered) = account(&door, NUMBER).await;
        let path = |name: &str| format!("/v1/accounts/username_hash/{name}");
        let body = json!({ "usernameHash": hash("alice"), "zkProof": proof("alice") });
        alice.put(&path(&hash("alice")), body).await.expect(200);
        let anonymous = door.client().get(&path(&hash("alice"))).await.expect(200);
        conforms("UsernameHashLookupResponse", &anonymous);
        assert_eq!(anonymous["uuid"], registered["uuid"]);
        let known = alice.get(&path(&hash("alice"))).await;
        assert_eq!(status(&known), either(dialect, 200, 400));
        door.client().get(&path(&hash("bob"))).await.expect(404);
        let malformed = door.client().get(&path("no-hash")).await;
        assert_eq!(status(&malformed), either(dialect, 404, 422));
    }
}

/// `changeNumber`
#[tokio::test]
async fn change_number() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, registered) = account(&door, NUMBER).await;
        account(&door, OTHER).await;
        let path = "/v1/accounts/number";
        let to = |number: &str| json!({ "number": number, "registrationLock": "" });
        // Where the seed asks for no proof, the server does.
        alice.put(path, to(THIRD)).await.expect(403);
        let proved = async |number: &str| {
            let mut body = to(number);
            body["sessionId"] = json!(door.verify(number).await);
            alice.put(path, body).await
        };
        proved(OTHER).await.expect(409);
        let moved = proved(THIRD).await.expect(200);
        assert_eq!(
            (&moved["uuid"], &moved["number"]),
            (&registered["uuid"], &json!(THIRD))
        );
        alice
            .put(path, json!({ "number": THIRD }))
            .await
            .expect(422);
        needs_credentials(&door, "PUT", path).await;
    }
}

/// `listDevices`
#[tokio::test]
async fn list_devices() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, _) = account(&door, NUMBER).await;
        let list = client.get("/v1/devices").await.expect(200);
        conforms("DeviceList", &list);
        let device = &list["devices"][0];
        conforms("Device", device);
        // And what deployed clients look for.
        for property in ["registrationId", "createdAtCiphertext"] {
            assert!(device.get(property).is_some(), "{device}");
        }
        needs_credentials(&door, "GET", "/v1/devices").await;
    }
}

/// `linkDevice`
#[tokio::test]
async fn link_device() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let session = door.verify(NUMBER).await;
        let keys = Identities::generate(1);
        let newcomer = door.client().basic(NUMBER, "password");
        let body = registration(&session, &keys);
        let account = newcomer.post("/v1/registration", body).await.expect(200);
        let primary = door
            .client()
            .basic(account["uuid"].as_str().unwrap(), "password");
        let token = async || {
            door.clock.advance(std::time::Duration::from_millis(1));
            let token = primary
                .get("/v1/devices/provisioning/code")
                .await
                .expect(200);
            token["verificationCode"].as_str().unwrap().to_owned()
        };
        let link = async |token: &str| {
            newcomer
                .put("/v1/devices/link", link_body(token, &keys))
                .await
        };
        // Each of these tokens was given while there was room.
        let mut tokens = Vec::new();
        for _ in 0..6 {
            tokens.push(token().await);
        }
        let last = tokens.pop().unwrap();
        for token in tokens {
            conforms("DeviceResponse", &link(&token).await.expect(200));
        }
        let full = link(&last).await;
        assert_eq!(status(&full), either(dialect, 403, 411));
        assert_eq!(full.value(), json!({ "current": 6, "max": 6 }));
        let bad = link("no-token").await;
        assert_eq!(status(&bad), either(dialect, 422, 403));

        let without_keys = json!({ "verificationCode": "x", "accountAttributes": {} });
        let refused = newcomer.put("/v1/devices/link", without_keys).await;
        assert_eq!(status(&refused), 422, "no such code; or keys are missing");
    }
}

/// `removeDevice`
#[tokio::test]
async fn remove_device() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, _) = account(&door, NUMBER).await;
        let gone = client.delete("/v1/devices/3").await;
        assert_eq!(status(&gone), either(dialect, 404, 204));
        client.delete("/v1/devices/1").await.expect(403);
        client.delete("/v1/devices/x").await.expect(404);
        needs_credentials(&door, "DELETE", "/v1/devices/2").await;
    }
}

/// `sendMessage`
#[tokio::test]
async fn send_message() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, _) = account(&door, NUMBER).await;
        let (bob, registered) = account(&door, OTHER).await;
        let path = format!("/v1/messages/{}", registered["uuid"].as_str().unwrap());
        // 7 is another name for 6; a registration id that is not said is not compared.
        let mut body = message(b"hello", 5);
        body["messages"][0]["type"] = json!(7);
        let first = body["messages"][0].as_object_mut().unwrap();
        first.remove("destinationRegistrationId");
        let sent = alice.put(&path, body).await.expect(200);
        conforms("SendMessageResponse", &sent);
        let mail = bob.get("/v1/messages").await.expect(200);
        let mail = &mail["messages"][0];
        assert_eq!((&mail["type"], &mail["urgent"]), (&json!(6), &json!(true)));

        let mut to_nobody = message(b"hello", 5);
        to_nobody["messages"][0]["destinationDeviceId"] = json!(2);
        let mismatched = alice.put(&path, to_nobody).await.expect(409);
        assert_eq!(
            mismatched,
            json!({ "missingDevices": [1], "extraDevices": [2] })
        );
        let mut stale = message(b"hello", 5);
        stale["messages"][0]["destinationRegistrationId"] = json!(0);
        let stale = alice.put(&path, stale).await.expect(410);
        assert_eq!(stale, json!({ "staleDevices": [1] }));
        let unknown = format!("/v1/messages/{STRANGER}");
        alice.put(&unknown, message(b"hello", 5)).await.expect(404);
        let anonymous = door.client().put(&path, message(b"hello", 5)).await;
        assert_eq!(status(&anonymous), 401);
    }
}

/// `getPreKeyCount`
/// `setKeys`
/// `getDeviceKeys`
#[tokio::test]
async fn count_set_and_take_pre_keys() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, _) = account(&door, NUMBER).await;
        let session = door.verify(OTHER).await;
        let keys = Identities::generate(8);
        let newcomer = door.client().basic(OTHER, "password");
        let body = registration(&session, &keys);
        let registered = newcomer.post("/v1/registration", body).await.expect(200);
        let (uuid, path) = (registered["uuid"].as_str().unwrap(), "/v2/keys");
        let bob = door.client().basic(uuid, "password");
        let upload = json!({
            "preKeys": [ec_pre_key(1)],
            "signedPreKey": signed_pre_key(&keys.aci, 2),
            "pqPreKeys": [kyber_pre_key(&keys.aci, 3)],
            "pqLastResortPreKey": kyber_pre_key(&keys.aci, 4),
        });
        let set = bob.put(path, upload).await;
        assert_eq!((status(&set), set.body.len()), (204, 0));
        bob.put(path, json!({})).await.expect(204);
        let count = bob.get(path).await.expect(200);
        assert_eq!(count, json!({ "count": 1, "pqCount": 1 }));

        let bundle = alice.get(&format!("{path}/{uuid}/1")).await.expect(200);
        conforms("PreKeyBundle", &bundle);
        let device = &bundle["devices"][0];
        conforms("DevicePreKeyBundle", device);
        conforms("PreKey", &device["preKey"]);
        conforms("SignedPreKey", &device["signedPreKey"]);
        conforms("KyberPreKey", &device["pqPreKey"]);
        // A number will do for callers who say who they are, unless it does not want to be found.
        let by_number = alice.get(&format!("{path}/{OTHER}/1")).await.expect(200);
        assert_eq!(by_number["identityKey"], bundle["identityKey"]);
        assert_eq!(by_number["devices"][0]["preKey"], Value::Null);
        let hide = json!({ "discoverableByPhoneNumber": false });
        let discoverability = "/v2/accounts/phone_number_discoverability";
        bob.put(discoverability, hide).await.expect(204);
        alice.get(&format!("{path}/{OTHER}/1")).await.expect(404);

        alice.get(&format!("{path}/{STRANGER}/1")).await.expect(404);
        alice.get(&format!("{path}/{uuid}/9")).await.expect(404);
        let malformed = alice.get(&format!("{path}/{uuid}/300")).await;
        assert_eq!(status(&malformed), either(dialect, 404, 422));
        for verb in ["GET", "PUT"] {
            needs_credentials(&door, verb, path).await;
        }
    }
}

/// `setProfile`
/// `getProfile`
#[tokio::test]
async fn set_and_get_profile() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (alice, registered) = account(&door, NUMBER).await;
        let (bob, _) = account(&door, OTHER).await;
        let uuid = registered["uuid"].as_str().unwrap();
        // Clients of the seed know no versions; official ones never leave both out.
        let fields = json!({ "name": b64([1; 20]), "about": b64([2; 3]), "aboutEmoji": b64([3; 4]), "avatar": false });
        let set = alice.put("/v1/profile", fields.clone()).await;
        assert_eq!((status(&set), set.body.len()), (200, 0));
        let profile = bob.get(&format!("/v1/profile/{uuid}")).await.expect(200);
        conforms("Profile", &profile);
        let padded: BTreeMap<_, _> = [
            ("name", "AQEBAQEBAQEBAQEBAQEBAQEBAQE="),
            ("about", "AgIC"),
            ("aboutEmoji", "AwMDAw=="),
        ]
        .into();
        for (name, value) in padded {
            assert_eq!(profile[name], value);
        }
        let form = alice
            .put("/v1/profile", json!({ "avatar": true }))
            .await
            .expect(200);
        assert!(
            form["key"].as_str().unwrap().starts_with("profiles/"),
            "{form}"
        );
        let half = json!({ "version": "ab".repeat(32) });
        alice.put("/v1/profile", half).await.expect(422);
        bob.get(&format!("/v1/profile/{STRANGER}"))
            .await
            .expect(404);
        let anonymous = door.client().get(&format!("/v1/profile/{uuid}")).await;
        assert_eq!(status(&anonymous), 401);
        needs_credentials(&door, "PUT", "/v1/profile").await;
    }
}

/// `getAttachmentUploadForm`
/// `getStickerPackUploadForm`
#[tokio::test]
async fn upload_forms() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, _) = account(&door, NUMBER).await;
        let attachment = "/v4/attachments/form/upload";
        conforms(
            "AttachmentUploadForm",
            &client.get(attachment).await.expect(200),
        );
        let pack = |size: &str| format!("/v1/sticker/pack/form/{size}");
        let form = client.get(&pack("200")).await.expect(200);
        conforms("StickerPackUploadForm", &form);
        conforms("AttachmentUploadForm", &form["manifest"]);
        assert_eq!(form["stickers"].as_array().unwrap().len(), 200);
        conforms("AttachmentUploadForm", &form["stickers"][199]);
        let one_more = client.get(&pack("201")).await;
        assert_eq!(status(&one_more), either(dialect, 400, 200));
        for (size, refused) in [("0", 400), ("202", 400), ("-1", 400), ("many", 404)] {
            assert_eq!(status(&client.get(&pack(size)).await), refused, "{size}");
        }
        needs_credentials(&door, "GET", attachment).await;
        needs_credentials(&door, "GET", &pack("1")).await;
    }
}

/// `getDeliveryCertificate`
#[tokio::test]
async fn get_delivery_certificate() {
    for dialect in BOTH {
        let door = door(dialect).await;
        let (client, _) = account(&door, NUMBER).await;
        let path = "/v1/certificate/delivery";
        let mut lengths = Vec::new();
        for query in ["", "?includeE164=true", "?includeE164=false"] {
            let answer = client.get(&format!("{path}{query}")).await.expect(200);
            conforms("DeliveryCertificate", &answer);
            lengths.push(answer["certificate"].as_str().unwrap().len());
        }
        assert_eq!(
            lengths[0], lengths[1],
            "the number is in it unless it is not wanted"
        );
        assert!(lengths[2] < lengths[1]);
        needs_credentials(&door, "GET", path).await;
    }
}

#[test]
fn every_operation_is_walked() {
    let tests = include_str!("seed.rs");
    let operations = SEED.lines().filter(|line| line.starts_with("operation "));
    let operations: Vec<_> = operations
        .map(|line| line.split(' ').nth(3).unwrap())
        .collect();
    assert_eq!(operations.len(), 18);
    for operation in operations {
        assert!(tests.contains(&format!("/// `{operation}`")), "{operation}");
    }
}
