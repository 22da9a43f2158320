//! The parts of `/v1/accounts` and `/v2/accounts` that change one thing each.

use std::time::Duration;

use api::Config;
use commands::ports::Notification;
use events::account::PushToken;
use serde_json::{Value, json};

use crate::support::device::{Identities, attributes, b64, registration};
use crate::support::{Device, Door};

const NUMBER: &str = "+12015550123";

pub(crate) async fn device_row(door: &Door, device: &Device) -> projections::devices::Device {
    let aci = device.aci.parse().unwrap();
    let id = u32::try_from(device.id).unwrap().try_into().unwrap();
    let found = door.api.queries.devices().one(aci, id).await;
    found.unwrap().unwrap()
}

#[tokio::test]
async fn a_push_token_takes_the_place_of_all_other_ways_to_wake_a_device() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let tablet = door.link(&alice, "tablet").await;
    assert!(device_row(&door, &alice).await.fetches_messages);
    let fcm = json!({ "gcmRegistrationId": "fcm-token" });
    let set = alice.client.put("/v1/accounts/gcm/", fcm.clone()).await;
    assert_eq!((set.status.as_u16(), set.body.len()), (204, 0));
    assert!(set.position().is_some());
    let row = device_row(&door, &alice).await;
    let token = PushToken::Fcm("fcm-token".into());
    assert!(!row.fetches_messages && row.push.is_some_and(|push| push.0 == token));
    let again = alice.client.put("/v1/accounts/gcm", fcm).await;
    assert_eq!((again.status.as_u16(), again.position()), (204, None));

    let apn = json!({ "apnRegistrationId": "apn-token" });
    alice.client.put("/v1/accounts/apn/", apn).await.expect(204);
    let row = device_row(&door, &alice).await;
    let token = PushToken::Apn("apn-token".into());
    assert!(row.push.is_some_and(|push| push.0 == token));

    for (device, path, agent) in [
        (&alice, "/v1/accounts/gcm", "OWA"),
        (&alice, "/v1/accounts/apn", "OWI"),
        (&tablet, "/v1/accounts/apn", "OWP"),
    ] {
        device.client.delete(path).await.expect(204);
        let row = device_row(&door, device).await;
        assert_eq!((row.push, row.agent.as_deref()), (None, Some(agent)));
        assert!(!row.fetches_messages);
    }
    for path in ["/v1/accounts/gcm", "/v1/accounts/apn"] {
        alice.client.put(path, json!({})).await.expect(422);
        for text in ["", "a\u{0}b", "\u{1b}"] {
            let none = json!({ "gcmRegistrationId": text, "apnRegistrationId": text });
            alice.client.put(path, none).await.expect(422);
        }
        door.client().delete(path).await.expect(401);
    }
}

#[tokio::test]
async fn the_primary_names_all_devices_and_others_name_themselves() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let tablet = door.link(&alice, "tablet").await;
    let phone = door.link(&alice, "phone").await;
    let name = |fill| json!({ "deviceName": b64([fill; 20]) });
    let put = async |by: &Device, query: &str, body| {
        let path = format!("/v1/accounts/name/{query}");
        by.client.put(&path, body).await.status.as_u16()
    };
    assert_eq!(put(&alice, "", name(1)).await, 204);
    assert_eq!(put(&alice, "?deviceId=2", name(2)).await, 204);
    assert_eq!(put(&phone, "", name(3)).await, 204);
    assert_eq!(put(&tablet, "?deviceId=3", name(4)).await, 403);
    assert_eq!(put(&tablet, "?deviceId=9", name(4)).await, 404);
    assert_eq!(put(&alice, "?deviceId=x", name(4)).await, 400);
    let listed = alice.client.get("/v1/devices").await.expect(200);
    for (place, fill) in [1, 2, 3].into_iter().enumerate() {
        let name = listed["devices"][place]["name"].as_str().unwrap();
        assert_eq!(name.trim_end_matches('='), b64([fill; 20]));
    }
    for body in [
        json!({}),
        json!({ "deviceName": "" }),
        json!({ "deviceName": b64([1; 226]) }),
        json!({ "deviceName": "***" }),
    ] {
        assert_eq!(put(&alice, "", body).await, 422);
    }
}

#[tokio::test]
async fn a_registration_lock_comes_and_goes() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let path = "/v1/accounts/registration_lock";
    for wrong in [json!({}), json!({ "registrationLock": "ab" })] {
        alice.client.put(path, wrong).await.expect(422);
    }
    let lock = json!({ "registrationLock": "ab".repeat(32) });
    alice.client.put(path, lock).await.expect(204);
    let body = registration(&door.verify(NUMBER).await, &Identities::generate(4));
    let stranger = door.client().official().basic(NUMBER, "stranger");
    stranger
        .post("/v1/registration", body.clone())
        .await
        .expect(423);
    alice.client.get("/v1/accounts/whoami").await.expect(401);

    let bob = door.register("+12015550124").await;
    let lock = json!({ "registrationLock": "ab".repeat(32) });
    bob.client.put(path, lock).await.expect(204);
    bob.client.delete(path).await.expect(204);
    bob.client.delete(path).await.expect(204);
    let again = door.register("+12015550124").await;
    assert_eq!(again.aci, bob.aci);
}

#[tokio::test]
async fn discoverability_changes_and_is_reported() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let path = "/v2/accounts/phone_number_discoverability";
    alice.client.put(path, json!({})).await.expect(422);
    let hide = json!({ "discoverableByPhoneNumber": false });
    alice.client.put(path, hide).await.expect(204);
    let report = alice
        .client
        .get("/v2/accounts/data_report")
        .await
        .expect(200);
    let account = &report["data"]["account"];
    assert_eq!(account["findAccountByPhoneNumber"], false);
    assert_eq!(account["phoneNumber"], NUMBER);
    assert_eq!(account["allowSealedSenderFromAnyone"], false);
}

#[tokio::test]
async fn the_data_report_tells_what_the_server_knows() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    door.link(&alice, "tablet").await;
    let report = alice
        .client
        .get("/v2/accounts/data_report")
        .await
        .expect(200);
    insta::assert_json_snapshot!(report, { ".reportId" => "[id]", ".text" => "[text]" });
    let id = report["reportId"].as_str().unwrap();
    let text = report["text"].as_str().unwrap();
    insta::assert_snapshot!(text.replace(id, "[id]"));
    door.client()
        .get("/v2/accounts/data_report")
        .await
        .expect(401);
}

#[tokio::test]
async fn a_device_with_a_push_token_proves_itself_by_what_is_pushed_to_it() {
    let config = Config {
        captcha_required: true,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let client = door.client();
    let body = json!({ "number": NUMBER, "pushToken": "first", "pushTokenType": "fcm" });
    let session = client
        .post("/v1/verification/session", body)
        .await
        .expect(200);
    assert_eq!(
        session["requestedInformation"],
        json!(["pushChallenge", "captcha"])
    );
    let path = format!(
        "/v1/verification/session/{}",
        session["id"].as_str().unwrap()
    );
    let pushed = async |count: usize| {
        let mut pushed = door.phones.pushed.subscribe();
        let pushed = pushed.wait_for(|pushed| pushed.len() == count).await;
        let pushed = pushed.unwrap();
        let (to, Notification::VerificationChallenge(challenge)) = &pushed[count - 1] else {
            panic!("something else was pushed");
        };
        (to.clone(), challenge.0.to_string())
    };
    let (to, challenge) = pushed(1).await;
    assert!(to == PushToken::Fcm("first".into()));
    assert!(challenge.len() == 32 && challenge.bytes().all(|it| it.is_ascii_hexdigit()));

    let prove = async |body: Value| client.json("PATCH", &path, body).await;
    let wrong = json!({ "pushChallenge": "00".repeat(16) });
    let refused = prove(wrong).await.expect(403);
    assert_eq!(refused["allowedToRequestCode"], false);
    prove(json!({ "pushToken": "second", "pushTokenType": "apn" }))
        .await
        .expect(200);
    let (to, again) = pushed(2).await;
    assert!(to == PushToken::Apn("second".into()));
    assert_eq!(again, challenge, "the challenge stays");
    let proved = prove(json!({ "pushChallenge": challenge }))
        .await
        .expect(200);
    assert_eq!(
        (
            &proved["allowedToRequestCode"],
            &proved["requestedInformation"]
        ),
        (&json!(true), &json!([]))
    );
    let ignored = json!({ "pushChallenge": "x", "pushToken": "third", "pushTokenType": "apn" });
    prove(ignored).await.expect(200);
    assert_eq!(door.phones.pushed.borrow().len(), 2);
    prove(json!({ "pushToken": "t" })).await.expect(422);
}

#[tokio::test]
async fn a_push_token_that_comes_later_puts_its_challenge_first() {
    let config = Config {
        captcha_required: true,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let client = door.client();
    let session = client
        .post("/v1/verification/session", json!({ "number": NUMBER }))
        .await
        .expect(200);
    assert_eq!(session["requestedInformation"], json!(["captcha"]));
    let path = format!(
        "/v1/verification/session/{}",
        session["id"].as_str().unwrap()
    );
    let body = json!({ "pushToken": "t", "pushTokenType": "fcm", "captcha": "noscheme" });
    client.json("PATCH", &path, body).await.expect(400);
    let session = client.get(&path).await.expect(200);
    let both = json!(["pushChallenge", "captcha"]);
    assert_eq!(
        session["requestedInformation"], both,
        "what was achieved stays"
    );
}

#[tokio::test]
async fn reading_a_verified_session_voids_the_recovery_password_again() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let session = door.verify(NUMBER).await;
    let mut protected = attributes();
    protected["recoveryPassword"] = json!(b64([9; 32]));
    let path = "/v1/accounts/attributes";
    alice.client.put(path, protected).await.expect(204);
    let mut body = registration(&session, &Identities::generate(4));
    body["sessionId"] = Value::Null;
    body["recoveryPassword"] = json!(b64([9; 32]));
    let by_id = door.client().official().basic(&alice.aci, "new");
    let registered = by_id.post("/v1/registration", body.clone()).await;
    assert_eq!(registered.expect(200)["number"], NUMBER);
    let session = format!("/v1/verification/session/{session}");
    door.client().get(&session).await.expect(200);
    by_id.post("/v1/registration", body).await.expect(403);
}

#[tokio::test]
async fn registration_refuses_receipts_strange_names_and_where_asked_to_old_devices() {
    let config = Config {
        required_capabilities: [events::values::Capability::Spqr].into(),
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let client = door.client().official().basic(NUMBER, "password");
    let keys = Identities::generate(4);
    let body = registration(&door.verify(NUMBER).await, &keys);
    let mut receipt = body.clone();
    receipt["receiptCredentialPresentation"] = json!("AAAA");
    client.post("/v1/registration", receipt).await.expect(400);
    let mut incapable = body.clone();
    incapable["accountAttributes"]["capabilities"] = json!({ "transfer": true });
    let outdated = client.post("/v1/registration", incapable).await;
    assert_eq!(
        outdated.expect(499)["message"],
        "Missing required device capability"
    );
    let named = |name: &str| door.client().official().basic(name, "password");
    named("nobody")
        .post("/v1/registration", body.clone())
        .await
        .expect(400);
    client.post("/v1/registration", body).await.expect(200);
}

#[tokio::test]
async fn a_number_that_asks_for_too_many_sessions_waits() {
    let policy = commands::verification::VerificationPolicy {
        sessions: Some(commands::verification::SessionBudget::default()),
        ..Default::default()
    };
    let config = Config {
        verification: std::sync::Arc::new(policy),
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let start = async || {
        let body = json!({ "number": NUMBER });
        door.client().post("/v1/verification/session", body).await
    };
    start().await.expect(200);
    let early = start().await;
    assert_eq!(early.header("retry-after"), Some("60"));
    assert_eq!((early.status.as_u16(), early.body.len()), (429, 0));
    door.clock.advance(Duration::from_mins(1));
    start().await.expect(200);
}
