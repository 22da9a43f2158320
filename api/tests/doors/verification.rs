//! `/v1/verification/session`.

use std::sync::Arc;
use std::time::Duration;

use api::Config;
use commands::ports::{DeliveryFailed, ProviderRefusal};
use serde_json::{Value, json};

use crate::support::{CODE, Client, Door};

const NUMBER: &str = "+12015550123";

async fn start(client: &Client) -> (Value, String) {
    let session = client
        .post("/v1/verification/session", json!({ "number": NUMBER }))
        .await
        .expect(200);
    let path = format!(
        "/v1/verification/session/{}",
        session["id"].as_str().unwrap()
    );
    (session, path)
}

async fn request_code(client: &Client, path: &str) -> crate::support::Reply {
    client
        .post(
            &format!("{path}/code"),
            json!({ "transport": "sms", "client": "ios" }),
        )
        .await
}

#[tokio::test]
async fn a_number_is_verified_by_the_code_that_was_sent_to_it() {
    let door = Door::open().await;
    let client = door.client();
    let (session, path) = start(&client).await;
    insta::assert_json_snapshot!(session, { ".id" => "[id]" });
    assert_eq!(session["id"].as_str().unwrap().len(), 24);

    let sent = request_code(&client, &path).await;
    assert!(sent.position() > Some(1));
    insta::assert_json_snapshot!(sent.expect(200), { ".id" => "[id]" });
    assert_eq!(
        *door.phones.sent.lock().unwrap(),
        [(NUMBER.to_owned(), CODE.to_owned())]
    );

    let wrong = client
        .put(&format!("{path}/code"), json!({ "code": "000000" }))
        .await
        .expect(200);
    assert_eq!(
        wrong["verified"], false,
        "a wrong code is a success that verifies nothing"
    );
    let right = client
        .put(&format!("{path}/code"), json!({ "code": CODE }))
        .await
        .expect(200);
    assert_eq!(right["verified"], true);

    let read = client.get(&path.replace('=', "%3D")).await.expect(200);
    assert_eq!(read, right, "read again, with its id percent-encoded");
    client
        .put(&format!("{path}/code"), json!({ "code": CODE }))
        .await
        .expect(409);
    request_code(&client, &path).await.expect(409);
}

#[tokio::test]
async fn a_captcha_comes_first_where_one_is_asked_for() {
    let config = Config {
        captcha_required: true,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let client = door.client();
    let (session, path) = start(&client).await;
    assert_eq!(session["requestedInformation"], json!(["captcha"]));
    let early = request_code(&client, &path).await.expect(409);
    assert_eq!(early, session, "the refusal shows the session");

    for captcha in ["", "noscheme", "a.b.challenge.t"] {
        client
            .json("PATCH", &path, json!({ "captcha": captcha }))
            .await
            .expect(400);
    }
    let pushed = client
        .json("PATCH", &path, json!({ "pushChallenge": "00" }))
        .await;
    assert_eq!(pushed.expect(403)["allowedToRequestCode"], false);
    let body = json!({ "captcha": "noop.noop.registration.noop" });
    let session = client.json("PATCH", &path, body).await.expect(200);
    assert_eq!(
        (
            &session["allowedToRequestCode"],
            &session["requestedInformation"]
        ),
        (&json!(true), &json!([]))
    );
    request_code(&client, &path).await.expect(200);
}

#[tokio::test]
async fn codes_are_not_sent_faster_than_the_policy_says() {
    let door = Door::open().await;
    let client = door.client();
    let (_, path) = start(&client).await;
    request_code(&client, &path).await.expect(200);
    let early = request_code(&client, &path).await;
    assert_eq!(early.header("retry-after"), Some("60"));
    assert_eq!(early.expect(429)["nextSms"], 60);
    door.clock.advance(Duration::from_mins(1));
    request_code(&client, &path).await.expect(200);
    assert_eq!(door.phones.sent.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_counted() {
    let door = Door::open().await;
    let client = door.client();
    let (_, path) = start(&client).await;
    let reason = ProviderRefusal::Rejected;
    *door.phones.out_of_order.lock().unwrap() = Some(DeliveryFailed::Provider {
        reason,
        permanent: true,
    });
    let refused = request_code(&client, &path).await.expect(440);
    assert_eq!(
        refused,
        json!({ "reason": "providerRejected", "permanentFailure": true })
    );

    door.clock.advance(Duration::from_mins(1));
    *door.phones.out_of_order.lock().unwrap() = Some(DeliveryFailed::TransportNotAllowed);
    let closed = request_code(&client, &path).await.expect(418);
    assert_eq!(
        (&closed["nextSms"], &closed["nextCall"]),
        (&Value::Null, &json!(0))
    );
    let read = client.get(&path).await.expect(200);
    assert_eq!(read["nextSms"], Value::Null, "the read model knows, too");
    request_code(&client, &path).await.expect(418);
}

#[tokio::test]
async fn a_session_that_is_not_there_or_over_is_not_found() {
    let door = Door::open().await;
    let client = door.client();
    for path in ["bm8tc3VjaC1zZXNzaW9u", "AAAAAAAAAAAAAAAAAAAAAA=="] {
        client
            .get(&format!("/v1/verification/session/{path}"))
            .await
            .expect(404);
    }
    client
        .get("/v1/verification/session/%00!!")
        .await
        .expect(422);
    let (_, path) = start(&client).await;
    door.clock.advance(Duration::from_mins(11));
    client.get(&path).await.expect(404);
    request_code(&client, &path).await.expect(404);
    client
        .put(&format!("{path}/code"), json!({ "code": CODE }))
        .await
        .expect(404);
    client.json("PATCH", &path, json!({})).await.expect(404);
}

#[tokio::test]
async fn bodies_that_break_rules_are_refused() {
    let door = Door::open().await;
    let client = door.client();
    let create = |body| client.json("POST", "/v1/verification/session", body);
    create(json!({})).await.expect(422);
    create(json!({ "number": "banana" })).await.expect(422);
    create(json!({ "number": NUMBER, "pushToken": "t" }))
        .await
        .expect(422);
    let obsolete = create(json!({ "number": "+22990011234" })).await;
    assert_eq!((obsolete.status.as_u16(), obsolete.body.len()), (499, 0));

    let (_, path) = start(&client).await;
    let code = format!("{path}/code");
    for (body, status) in [(json!({}), 422), (json!({ "transport": "pigeon" }), 422)] {
        client.post(&code, body).await.expect(status);
    }
    for body in [json!({}), json!({ "code": " " }), json!({ "code": 7 })] {
        client.put(&code, body).await.expect(422);
    }
    assert!(door.phones.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_policy_is_the_operators() {
    let policy = commands::verification::VerificationPolicy {
        sms: vec![Duration::ZERO],
        ..Default::default()
    };
    let config = Config {
        verification: Arc::new(policy),
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let client = door.client();
    let (_, path) = start(&client).await;
    let sent = request_code(&client, &path).await.expect(200);
    assert_eq!(sent["nextSms"], Value::Null, "one text message was all");
    let refused = request_code(&client, &path).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (429, None)
    );
}
