//! Rate limits at the doors: who is counted, and what the one too many is told.

use std::time::Duration;

use api::Config;
use api::limits::rates::{Rate, Rates};
use serde_json::json;

use crate::multi_recipient::story;
use crate::support::device::{
    ACCESS_KEY, Identities, REGISTRATION_ID, b64, link_body, message, registration,
};
use crate::support::{Device, Door, Reply};

fn refused_for(reply: &Reply) -> Option<&str> {
    assert_eq!(reply.status, 429, "{:?}", reply.body);
    assert!(reply.body.is_empty());
    reply.header("retry-after")
}

#[tokio::test]
async fn messages_between_two_accounts_are_counted() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let (alice, bob) = (
        door.register("+12015550141").await,
        door.register("+12015550142").await,
    );
    for n in 0..60 {
        assert_eq!(alice.send(&bob.aci, b"hi", n + 1).await.status, 200);
    }
    assert_eq!(
        refused_for(&alice.send(&bob.aci, b"hi", 61).await),
        Some("1")
    );
    assert_eq!(bob.send(&alice.aci, b"hi", 1).await.status, 200);
    door.clock.advance(Duration::from_secs(1));
    assert_eq!(alice.send(&bob.aci, b"hi", 62).await.status, 200);
    assert_eq!(alice.send(&bob.aci, b"hi", 63).await.status, 429);
}

#[tokio::test]
async fn tokens_and_keys_are_counted() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let (alice, bob) = (
        door.register("+12015550143").await,
        door.register("+12015550144").await,
    );
    let keys = format!("/v2/keys/{}/*", bob.aci);
    for _ in 0..6 {
        alice
            .client
            .get("/v1/devices/provisioning/code")
            .await
            .expect(200);
        alice.client.get(&keys).await.expect(200);
    }
    let token = alice.client.get("/v1/devices/provisioning/code").await;
    assert_eq!(refused_for(&token), Some("120"));
    assert_eq!(refused_for(&alice.client.get(&keys).await), Some("600"));
    bob.client.get(&keys).await.expect(200);
}

#[tokio::test]
async fn registrations_of_a_number_are_counted() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let body = json!({
        "sessionId": "AAAAAAAAAAAAAAAAAAAAAA==",
        "accountAttributes": { "fetchesMessages": true },
    });
    let register = async |number: &str| {
        let client = door.client().basic(number, "password");
        client.post("/v1/registration", body.clone()).await
    };
    for _ in 0..6 {
        assert_eq!(
            register("+12015550145").await.status,
            401,
            "no such session"
        );
    }
    assert_eq!(refused_for(&register("+12015550145").await), Some("30"));
    assert_eq!(register("+12015550146").await.status, 401);
}

#[tokio::test]
async fn only_guesses_at_a_lock_that_holds_are_counted() {
    let mut rates = Rates::default();
    let once = Rate {
        size: 1,
        period: Duration::from_hours(24),
    };
    rates.set("pin", once).unwrap();
    let door = Door::open_limited(Config::default(), rates).await;
    let number = "+12015550147";
    let keys = Identities::generate(9);
    let alice = door.register_with(number, keys.clone(), "password").await;
    let client = door.client().official().basic(number, "password");
    let (lock, other) = ("ab".repeat(32), "cd".repeat(32));
    let session = door.verify(number).await;
    let attempt = async |lock: &str| {
        door.clock.advance(Duration::from_secs(31));
        let mut body = registration(&session, &keys);
        body["accountAttributes"]["registrationLock"] = json!(lock);
        client.post("/v1/registration", body).await
    };
    // The account has no lock; each of these sets one, and the next takes it away.
    for _ in 0..3 {
        attempt(&lock).await.expect(200);
        let path = "/v1/accounts/registration_lock";
        alice.client.delete(path).await.expect(204);
    }
    attempt(&lock).await.expect(200);
    for _ in 0..3 {
        attempt(&lock).await.expect(200);
    }
    attempt(&other).await.expect(423);
    let day = Some("86400");
    assert_eq!(refused_for(&attempt(&other).await), day, "a guess too many");
    assert!(refused_for(&attempt(&lock).await).is_some());
}

#[tokio::test]
async fn keys_are_counted_for_each_device_as_it_is_installed() {
    let door = Door::open_limited(Config::default(), Rates::default()).await;
    let (alice, bob) = (
        door.register("+12015550147").await,
        door.register("+12015550148").await,
    );
    door.link(&bob, "tablet").await;
    let device = |id: &str| format!("/v2/keys/{}/{id}", bob.aci);
    let fetch = async |id: &str| alice.client.get(&device(id)).await;
    for _ in 0..6 {
        fetch("2").await.expect(200);
    }
    assert_eq!(refused_for(&fetch("2").await), Some("600"));
    fetch("1").await.expect(200);
    fetch("*").await.expect(200);
    for _ in 0..7 {
        fetch("5").await.expect(404);
    }
    bob.client.delete("/v1/devices/2").await.expect(204);
    // Tokens of the same millisecond are the same token.
    door.clock.advance(Duration::from_millis(1));
    let token = bob.client.get("/v1/devices/provisioning/code").await;
    let token = token.expect(200)["verificationCode"].clone();
    let mut anew = link_body(token.as_str().unwrap(), &bob.keys);
    anew["accountAttributes"]["registrationId"] = json!(REGISTRATION_ID + 1);
    let client = door.client().official().basic(&bob.aci, "tablet");
    client.put("/v1/devices/link", anew).await.expect(200);
    fetch("2").await.expect(200);
}

#[tokio::test]
async fn stories_to_many_are_counted_for_each_recipient() {
    let rate = Rate {
        size: 2,
        period: Duration::from_secs(8),
    };
    let mut rates = Rates::default();
    rates.set("stories", rate).unwrap();
    let door = Door::open_limited(Config::default(), rates).await;
    let (alice, bob) = (
        door.register("+12015550149").await,
        door.register("+12015550150").await,
    );
    let send = async |recipients: &[&Device]| story(&door, recipients).await;
    send(&[&alice]).await.expect(200);
    send(&[&alice, &bob]).await.expect(200);
    assert_eq!(refused_for(&send(&[&bob, &alice]).await), Some("8"));
    let single = format!("/v1/messages/{}?story=true", alice.aci);
    let single = door.client().put(&single, message(b"story", 1)).await;
    assert_eq!(refused_for(&single), Some("8"));
    door.clock.advance(Duration::from_secs(8));
    send(&[&alice]).await.expect(200);
}

#[tokio::test]
async fn strangers_who_are_refused_use_up_nothing_of_what_is_there_for_friends() {
    let rate = Rate {
        size: 4,
        period: Duration::from_secs(1),
    };
    let mut rates = Rates::default();
    for limit in ["inboundMessageBytes", "messages"] {
        rates.set(limit, rate).unwrap();
    }
    let door = Door::open_limited(Config::default(), rates).await;
    let (alice, bob) = (
        door.register("+12015550151").await,
        door.register("+12015550152").await,
    );
    let path = format!("/v1/messages/{}", bob.aci);
    let send = async |key: [u8; 16]| {
        let client = door.client().with("unidentified-access-key", b64(key));
        client.put(&path, message(b"four", 1)).await
    };
    for _ in 0..3 {
        send([0; 16]).await.expect(401);
    }
    send(ACCESS_KEY).await.expect(200);
    assert_eq!(refused_for(&send(ACCESS_KEY).await), Some("4"));
    let nobody = "00000000-0000-4000-8000-000000000000";
    for _ in 0..6 {
        alice.send(nobody, b"four", 1).await.expect(404);
    }
}
