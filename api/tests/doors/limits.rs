//! Rate limits at the doors: who is counted, and what the one too many is told.

use std::time::Duration;

use api::Config;
use api::limits::rates::Rates;
use serde_json::json;

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
