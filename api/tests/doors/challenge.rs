//! `/v1/challenge`.

use std::time::Duration;

use commands::ports::Notification;
use serde_json::{Value, json};

use crate::support::device::{Identities, registration};
use crate::support::{Client, Door};

const NUMBER: &str = "+12015550171";

/// Registers a device that is woken by Google.
pub(crate) async fn with_push(door: &Door) -> Client {
    let session = door.verify(NUMBER).await;
    let client = door.client().official().basic(NUMBER, "password");
    let mut body = registration(&session, &Identities::generate(7));
    body["accountAttributes"]["fetchesMessages"] = json!(false);
    body["gcmToken"] = json!({ "gcmRegistrationId": "the-token" });
    let account = client.post("/v1/registration", body).await.expect(200);
    let aci = account["uuid"].as_str().unwrap();
    door.client().basic(aci, "password")
}

pub(crate) fn last_challenge(door: &Door) -> String {
    let pushed = door.phones.pushed.borrow();
    match pushed.last().map(|(_, notification)| notification) {
        Some(Notification::RateLimitChallenge(challenge)) => challenge.0.to_string(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn pushed(challenge: &str) -> Value {
    json!({ "type": "rateLimitPushChallenge", "challenge": challenge })
}

pub(crate) fn captcha(solution: &str) -> Value {
    json!({ "type": "captcha", "token": "opaque", "captcha": solution })
}

#[tokio::test]
async fn a_push_is_answered_once_and_in_time() {
    let door = Door::open().await;
    let client = with_push(&door).await;
    let ask = async || {
        client
            .send("POST", "/v1/challenge/push", None)
            .await
            .expect(200)
    };
    let answer = async |text: &str| {
        let reply = client.put("/v1/challenge", pushed(text)).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
        reply.position().is_some()
    };
    ask().await;
    let first = last_challenge(&door);
    ask().await;
    let second = last_challenge(&door);
    assert!(
        !answer("nonsense").await && !answer(&first).await,
        "only the last one counts"
    );
    assert!(answer(&second).await, "the account may send again");
    assert!(!answer(&second).await, "it is spent");
    ask().await;
    door.clock.advance(Duration::from_secs(301));
    assert!(!answer(&last_challenge(&door)).await, "too late");
}

#[tokio::test]
async fn a_captcha_is_for_a_challenge() {
    let door = Door::open().await;
    let client = with_push(&door).await;
    for (body, status) in [
        (captcha("scheme.site.registration.x"), 428),
        (captcha("nonsense"), 400),
        (captcha(" "), 422),
        (
            json!({ "type": "captcha", "captcha": "a.b.challenge.c" }),
            422,
        ),
        (pushed(""), 422),
        (json!({ "type": "riddle" }), 422),
        (json!({}), 422),
    ] {
        let reply = client.put("/v1/challenge", body.clone()).await;
        assert_eq!(reply.status.as_u16(), status, "{body}");
        assert_eq!(reply.position(), None);
    }
    let met = client
        .put("/v1/challenge", captcha("scheme.site.challenge.x"))
        .await;
    met.expect(200);
    assert!(met.position().is_some());
}

#[tokio::test]
async fn who_cannot_be_reached_by_push_is_told_so() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let ask = alice.client.send("POST", "/v1/challenge/push", None).await;
    assert_eq!(ask.status.as_u16(), 404);
    let anonymous = door.client().send("POST", "/v1/challenge/push", None).await;
    assert_eq!(anonymous.status.as_u16(), 401);
}
