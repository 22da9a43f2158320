//! Refusals that have nothing to do with any endpoint in particular, to the letter.

use serde_json::json;

use crate::support::{Door, Reply};

/// Status, content type and body, as a client sees them.
fn seen(reply: &Reply) -> String {
    let kind = reply.header("content-type").unwrap_or("-");
    format!(
        "{} | {kind} | {}",
        reply.status.as_u16(),
        String::from_utf8_lossy(&reply.body)
    )
}

#[tokio::test]
async fn refusals_have_the_bodies_that_clients_know() {
    let door = Door::open().await;
    let client = door.client();
    let session = "/v1/verification/session";
    let json = client.clone().with("content-type", "application/json");
    let replies = [
        client.get("/v1/no/such/path").await,
        client.get("/v1/accounts/whoami").await,
        client.delete("/v1/accounts/whoami").await,
        client
            .clone()
            .with("content-type", "text/plain")
            .send("POST", session, Some(b"{}".to_vec()))
            .await,
        json.send("POST", session, Some(br#"{"number":"#.to_vec()))
            .await,
        json.send("POST", session, Some(b"[1]".to_vec())).await,
        json.send("POST", session, None).await,
        json.send("POST", session, Some(br#"{"number":"+1"}"#.to_vec()))
            .await,
        json.send("POST", session, Some(vec![b' '; 65 * 1024]))
            .await,
        client.get("/v1/verification/session/AAAA").await,
        client.get("/v1/keepalive").await,
        client.get("/v1/websocket/").await,
        client.put("/v1/devices/link", json!({})).await,
    ];
    let seen: Vec<_> = replies.iter().map(seen).collect();
    insta::assert_snapshot!(seen.join("\n"));
    assert_eq!(
        replies[1].header("www-authenticate"),
        Some(r#"Basic realm="realm""#)
    );
    assert!(replies[2].header("allow").is_some());
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let door = Door::open().await;
    let device = door.register("+12015550123").await;
    for path in ["/v1/accounts/whoami/", "/v1/devices/", "/v2/config/"] {
        device.client.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let door = Door::open().await;
    let (first, second) = (door.client().get("/x").await, door.client().get("/x").await);
    let id = |reply: &Reply| reply.header("x-request-id").unwrap().to_owned();
    assert_ne!(id(&first), id(&second));
    let chosen = "2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
    let third = door.client().with("x-request-id", chosen).get("/x").await;
    assert_ne!(
        id(&third),
        chosen,
        "a client's id chains requests; it does not name them"
    );
}

#[tokio::test]
async fn the_clock_on_every_answer_is_the_servers() {
    let door = Door::open().await;
    let reply = door.client().get("/v1/accounts/whoami").await;
    let now = testkit::environment::FrozenClock::START_MILLIS.to_string();
    assert_eq!(reply.header("x-signal-timestamp"), Some(&*now));
}
