//! `Idempotency-Key`: what was done once is not done twice, whoever lost the answer.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::device::{Identities, link_body, message, registration};
use crate::support::{Client, Door, Reply};

const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

fn keyed(client: &Client) -> Client {
    client.clone().with("idempotency-key", KEY)
}

/// What a caller learns: everything but the clock.
fn learned(reply: &Reply) -> (u16, Option<u64>, Option<&str>, Vec<u8>) {
    (
        reply.status.as_u16(),
        reply.position(),
        reply.header("x-request-id"),
        reply.body.to_vec(),
    )
}

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

impl Door {
    async fn events(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM log.events");
        count.fetch_one(&self.database.pool).await.unwrap()
    }

    /// The server ends before it has written down what it answered.
    pub(crate) async fn forget_answers(&self) {
        sqlx::query("UPDATE doors.outcomes SET answer = NULL")
            .execute(&self.database.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_retry_is_answered_as_the_first_time() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550101").await,
        door.register("+12015550102").await,
    );
    let path = format!("/v1/messages/{}", bob.aci);
    let first = keyed(&alice.client).put(&path, message(b"hi", 1)).await;
    first.expect(200);
    assert!(!is_replayed(&first) && first.position().is_some());
    let events = door.events().await;
    let again = keyed(&alice.client).put(&path, message(b"hi", 1)).await;
    assert_eq!(learned(&again), learned(&first));
    assert!(is_replayed(&again));
    assert_eq!(door.events().await, events);

    let other = keyed(&alice.client).put(&path, message(b"ho", 1)).await;
    other.expect(422);
    assert_eq!(door.events().await, events);
    // Another caller's key is another key.
    let theirs = format!("/v1/messages/{}", alice.aci);
    let reply = keyed(&bob.client).put(&theirs, message(b"hi", 1)).await;
    reply.expect(200);
    assert!(!is_replayed(&reply));
    let waiting = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(waiting["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_done_before_a_crash_is_not_done_again() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550103").await,
        door.register("+12015550104").await,
    );
    let path = format!("/v1/messages/{}", bob.aci);
    let token = alice.client.get("/v1/devices/provisioning/code").await;
    let token = token.expect(200)["verificationCode"].clone();
    let link = link_body(token.as_str().unwrap(), &alice.keys);
    let session = door.verify("+12015550105").await;
    let keys = Identities::generate(5);
    let linking = door.client().official().basic(&alice.aci, "linked");
    let registering = door.client().official().basic("+12015550105", "registered");
    let attributes = json!({
        "fetchesMessages": true, "registrationId": 7, "unrestrictedUnidentifiedAccess": true,
    });
    let requests: [(&str, &Client, &str, &str, Value); 5] = [
        ("send", &alice.client, "PUT", &path, message(b"hi", 1)),
        ("link", &linking, "PUT", "/v1/devices/link", link),
        (
            "register",
            &registering,
            "POST",
            "/v1/registration",
            registration(&session, &keys),
        ),
        (
            "attributes",
            &bob.client,
            "PUT",
            "/v1/accounts/attributes",
            attributes,
        ),
        (
            "delete",
            &bob.client,
            "DELETE",
            "/v1/accounts/me",
            json!({}),
        ),
    ];
    for (name, client, method, path, body) in requests {
        let client = keyed(client).with("idempotency-key", format!("{name} {KEY}"));
        let first = client.json(method, path, body.clone()).await;
        assert!(first.status.is_success(), "{name}: {:?}", first.body);
        assert!(first.position().is_some(), "{name}");
        let events = door.events().await;
        if name != "delete" {
            // Deleted accounts cannot show who they are; their retries need the answer that was remembered.
            door.forget_answers().await;
        }
        // Something else happens to the same accounts in between.
        alice.send(&alice.aci, b"x", 9).await;
        let between = door.events().await;
        let again = client.json(method, path, body).await;
        assert_eq!(learned(&again), learned(&first), "{name}");
        assert_eq!(door.events().await, between, "{name}");
        assert!(between >= events);
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550106").await,
        door.register("+12015550107").await,
    );
    let path = format!("/v1/messages/{}", bob.aci);
    let client = keyed(&alice.client);
    let replies = join_all((0..8).map(|_| client.put(&path, message(b"hi", 1)))).await;
    for reply in &replies {
        reply.expect(200);
        assert_eq!(learned(reply), learned(&replies[0]));
    }
    let waiting = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(waiting["messages"].as_array().unwrap().len(), 1);

    let token = alice.client.get("/v1/devices/provisioning/code").await;
    let token = token.expect(200)["verificationCode"].clone();
    let body = link_body(token.as_str().unwrap(), &alice.keys);
    let linking = keyed(&door.client().official().basic(&alice.aci, "linked"));
    let replies = join_all((0..8).map(|_| linking.put("/v1/devices/link", body.clone()))).await;
    for reply in &replies {
        reply.expect(200);
        assert_eq!(learned(reply), learned(&replies[0]));
    }
}

#[tokio::test]
async fn refusals_are_remembered_unless_they_say_not_now() {
    let door = Door::open().await;
    let alice = door.register("+12015550108").await;
    let nobody = "/v1/messages/2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
    let first = keyed(&alice.client).put(nobody, message(b"hi", 1)).await;
    first.expect(404);
    let again = keyed(&alice.client).put(nobody, message(b"hi", 1)).await;
    assert!(is_replayed(&again) && again.status == 404);

    let stranger = keyed(&door.client().basic(&alice.aci, "wrong"));
    for _ in 0..2 {
        let reply = stranger.delete("/v1/accounts/me").await;
        assert_eq!(reply.status, 401);
        assert!(!is_replayed(&reply));
    }
    for key in ["short", "", &"x".repeat(256)] {
        let client = alice.client.clone().with("idempotency-key", key);
        client.put(nobody, message(b"hi", 1)).await.expect(400);
        assert_eq!(client.get("/v1/accounts/whoami").await.status, 200);
    }
}

#[tokio::test]
async fn nobody_reads_what_is_remembered() {
    let door = Door::open().await;
    let session = "/v1/verification/session";
    let body = json!({ "number": "+12015550109" });
    let reply = keyed(&door.client()).post(session, body).await.expect(200);
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT id, answer FROM doors.outcomes WHERE answer IS NOT NULL")
            .fetch_all(&door.database.pool)
            .await
            .unwrap();
    assert_eq!(rows.len(), 1);
    let id = reply["id"].as_str().unwrap().as_bytes();
    let text: Vec<u8> = rows
        .into_iter()
        .flat_map(|(id, answer)| [id, answer].concat())
        .collect();
    for secret in [id, KEY.as_bytes(), b"+12015550109", b"2015550109"] {
        assert!(!text.windows(secret.len()).any(|window| window == secret));
    }
}
