//! Rate limits at the doors: who is counted, and what the one too many is told.

use std::time::Duration;

use api::Config;
use api::limits::rates::{Rate, Rates};
use serde_json::json;

use crate::support::device::{Identities, registration};
use crate::support::{Door, Reply};

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
