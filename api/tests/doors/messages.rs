//! `PUT /v1/messages/{service id}`.

use serde_json::{Value, json};

use crate::support::device::{ACCESS_KEY, PNI_REGISTRATION_ID, REGISTRATION_ID, b64, message};
use crate::support::{Device, Door, Reply, SPAM_QUOTA};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn two(door: &Door) -> (Device, Device) {
    (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    )
}

/// What waits, over REST.
async fn waiting(device: &Device) -> Vec<Value> {
    let list = device.client.get("/v1/messages").await.expect(200);
    list["messages"].as_array().unwrap().clone()
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = message(b"x", 1);
    change(&mut body);
    body
}

#[tokio::test]
async fn a_message_waits_for_its_recipient_as_it_was_sent() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let sent = alice.send(&bob.aci, b"hello", 1234).await;
    assert!(sent.position().is_some());
    assert_eq!(sent.expect(200), json!({ "needsSync": false }));
    let messages = waiting(&bob).await;
    insta::assert_json_snapshot!(messages, {
        "[].guid" => "[guid]", "[].sourceUuid" => "[alice]", "[].destinationUuid" => "[bob]",
    });
    assert_eq!(
        (&messages[0]["sourceUuid"], &messages[0]["destinationUuid"]),
        (&json!(alice.aci), &json!(bob.aci))
    );
}

#[tokio::test]
async fn anonymous_senders_need_the_access_key() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let path = format!("/v1/messages/{}", bob.aci);
    let sealed = |key: Option<&str>| {
        let client = door.client();
        let client = key.iter().fold(client, |client, key| {
            client.with("unidentified-access-key", key)
        });
        let path = path.clone();
        async move {
            client
                .put(
                    &path,
                    changed(|body| body["messages"][0]["type"] = json!(6)),
                )
                .await
        }
    };
    sealed(None).await.expect(401);
    sealed(Some("***")).await.expect(401);
    sealed(Some(&b64([8; 16]))).await.expect(401);
    sealed(Some(&b64(ACCESS_KEY))).await.expect(200);
    let messages = waiting(&bob).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0]["sourceUuid"], &messages[0]["sourceDevice"]),
        (&Value::Null, &json!(0))
    );

    let anonymous = door
        .client()
        .with("unidentified-access-key", b64(ACCESS_KEY));
    anonymous
        .put(&format!("/v1/messages/{UNKNOWN}"), message(b"x", 1))
        .await
        .expect(401);
    anonymous
        .put(&format!("/v1/messages/PNI:{}", bob.pni), message(b"x", 1))
        .await
        .expect(401);
    let both = alice
        .client
        .clone()
        .with("unidentified-access-key", b64(ACCESS_KEY));
    both.put(&path, message(b"x", 2)).await.expect(200);
    assert_eq!(
        waiting(&bob).await[1]["sourceUuid"],
        json!(alice.aci),
        "who says who they are is named"
    );
}

#[tokio::test]
async fn a_group_send_token_comes_alone() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let path = format!("/v1/messages/{}", bob.aci);
    let send = |client: crate::support::Client, query: &str| {
        let (client, path) = (
            client.with("group-send-token", "AAAA"),
            format!("{path}{query}"),
        );
        async move { client.put(&path, message(b"x", 1)).await.status.as_u16() }
    };
    assert_eq!(send(alice.client.clone(), "").await, 400);
    assert_eq!(
        send(
            door.client()
                .with("unidentified-access-key", b64(ACCESS_KEY)),
            ""
        )
        .await,
        400
    );
    assert_eq!(send(door.client(), "?story=true").await, 400);
    assert_eq!(send(door.client(), "").await, 401);
}

#[tokio::test]
async fn a_story_needs_nothing_and_nobody() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let story = |id: &str| {
        let (client, path) = (door.client(), format!("/v1/messages/{id}?story=true"));
        async move { client.put(&path, message(b"x", 1)).await }
    };
    assert_eq!(
        story(UNKNOWN).await.expect(200),
        json!({ "needsSync": false })
    );
    story(&bob.aci).await.expect(200);
    alice
        .client
        .put(
            &format!("/v1/messages/{}?story=false", bob.aci),
            message(b"y", 2),
        )
        .await
        .expect(200);
    assert_eq!(
        waiting(&bob).await.len(),
        1,
        "stories are for those who ask for them"
    );
    let asking = bob.client.clone().with("x-signal-receive-stories", "true");
    let list = asking.get("/v1/messages").await.expect(200);
    assert_eq!(
        (
            &list["messages"][0]["story"],
            &list["messages"][0]["sourceUuid"]
        ),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn devices_must_match_to_the_last() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let tablet = door.link(&bob, "tablet").await;
    let send = |devices: Vec<(u64, u64)>| {
        let messages: Vec<_> = devices
            .into_iter()
            .map(|(id, registration)| json!({ "type": 1, "destinationDeviceId": id, "destinationRegistrationId": registration, "content": "AQID" }))
            .collect();
        alice.client.json(
            "PUT",
            format!("/v1/messages/{}", bob.aci).leak(),
            json!({ "messages": messages, "timestamp": 1 }),
        )
    };
    let good = REGISTRATION_ID;
    let refused = |reply: Reply, status| reply.expect(status);
    assert_eq!(
        refused(send(vec![(1, good)]).await, 409),
        json!({ "missingDevices": [2], "extraDevices": [] })
    );
    assert_eq!(
        refused(send(vec![(1, good), (2, good), (5, 1)]).await, 409),
        json!({ "missingDevices": [], "extraDevices": [5] })
    );
    assert_eq!(
        refused(send(vec![(1, 5), (5, good)]).await, 410),
        json!({ "staleDevices": [1] }),
        "stale wins"
    );
    assert_eq!(
        refused(send(vec![(1, 0), (2, 99_999)]).await, 410),
        json!({ "staleDevices": [1, 2] })
    );
    assert!(waiting(&bob).await.is_empty() && waiting(&tablet).await.is_empty());
    send(vec![(1, good), (2, good)]).await.expect(200);
    assert_eq!(
        (waiting(&bob).await.len(), waiting(&tablet).await.len()),
        (1, 1)
    );

    let silent = changed(|body| {
        body["messages"][0]
            .as_object_mut()
            .unwrap()
            .remove("destinationRegistrationId");
        body["messages"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "type": 1, "destinationDeviceId": 2, "content": "AQ" }));
    });
    alice
        .client
        .put(&format!("/v1/messages/{}", bob.aci), silent)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_sync_message_leaves_out_the_sending_device() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let tablet = door.link(&alice, "tablet").await;
    let to_tablet = changed(|body| body["messages"][0]["destinationDeviceId"] = json!(2));
    let own = format!("/v1/messages/{}", alice.aci);
    assert_eq!(
        alice.client.put(&own, to_tablet.clone()).await.expect(200),
        json!({ "needsSync": false })
    );
    assert_eq!(waiting(&tablet).await.len(), 1);
    alice.client.put(&own, message(b"x", 1)).await.expect(409);
    alice
        .client
        .put(&format!("/v1/messages/PNI:{}", alice.pni), to_tablet)
        .await
        .expect(403);
    assert_eq!(
        alice.send(&bob.aci, b"x", 2).await.expect(200),
        json!({ "needsSync": true })
    );
}

#[tokio::test]
async fn a_message_to_a_number_reaches_its_account() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let pni = format!("PNI:{}", bob.pni);
    let body = changed(|body| {
        body["messages"][0]["destinationRegistrationId"] = json!(PNI_REGISTRATION_ID);
    });
    alice
        .client
        .put(&format!("/v1/messages/{pni}"), body)
        .await
        .expect(200);
    assert_eq!(waiting(&bob).await[0]["destinationUuid"], json!(pni));
}

#[tokio::test]
async fn content_has_its_limits_and_an_unknown_recipient_comes_first() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    alice.send(UNKNOWN, b"x", 1).await.expect(404);
    alice.send(&bob.aci, &vec![1; 98_304], 1).await.expect(200);
    let refused = alice.send(&bob.aci, &vec![1; 98_305], 1).await.expect(413);
    assert_eq!(refused["message"], "HTTP 413 Request Entity Too Large");
    alice
        .send(&bob.aci, &vec![1; 1024 * 1024], 1)
        .await
        .expect(413);
}

#[tokio::test]
async fn bodies_that_break_rules_are_refused() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let path = format!("/v1/messages/{}", bob.aci);
    let put = |body| alice.client.json("PUT", &path, body);
    let with_errors = [
        json!({ "messages": [] }),
        json!({}),
        changed(|body| body["messages"][0]["type"] = json!(5)),
        changed(|body| body["messages"][0]["type"] = json!(77)),
        changed(|body| body["messages"][0]["content"] = json!("")),
        changed(|body| body["messages"][0]["content"] = Value::Null),
        changed(|body| body["timestamp"] = json!(-1)),
        changed(|body| body["timestamp"] = json!(8_640_000_000_000_001_u64)),
        changed(|body| {
            let again = body["messages"][0].clone();
            body["messages"].as_array_mut().unwrap().push(again);
        }),
    ];
    for body in with_errors {
        let refused = put(body.clone()).await.expect(422);
        assert!(refused["errors"].is_array(), "{body}: {refused}");
    }
    let unmappable = [
        json!([1, 2, 3]),
        json!({ "messages": [[1, 1, 111, "AQID"]] }),
        changed(|body| body["messages"][0]["destinationDeviceId"] = json!(300)),
        changed(|body| body["messages"][0]["content"] = json!("***")),
        changed(|body| body["messages"][0] = Value::Null),
        changed(|body| body["urgent"] = json!("yes")),
        changed(|body| body["timestamp"] = json!(u64::MAX)),
    ];
    for body in unmappable {
        let refused = put(body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.body.len()),
            (422, 0),
            "{body}"
        );
    }
    alice
        .client
        .put("/v1/messages/not-a-uuid", message(b"x", 1))
        .await
        .expect(404);
    assert!(waiting(&bob).await.is_empty());
}

#[tokio::test]
async fn who_writes_to_too_many_is_challenged() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for n in 0..SPAM_QUOTA {
        let stranger = format!("00000000-0000-4000-8000-{n:012}");
        alice.send(&stranger, b"x", 1).await.expect(404);
    }
    let challenged = alice.send(&bob.aci, b"x", 1).await.expect(428);
    assert_eq!(challenged["options"], json!(["captcha", "pushChallenge"]));
    assert_eq!(challenged["token"].as_str().unwrap().len(), 32);
    alice.send(UNKNOWN, b"x", 1).await.expect(404);
    bob.send(&alice.aci, b"x", 1).await.expect(200);
    let tablet = door.link(&alice, "tablet").await;
    let sync = changed(|body| body["messages"][0]["destinationDeviceId"] = json!(tablet.id));
    let own = format!("/v1/messages/{}", alice.aci);
    alice.client.put(&own, sync).await.expect(200);
    let solved =
        json!({ "type": "captcha", "token": "opaque", "captcha": "scheme.site.challenge.solved" });
    alice.client.put("/v1/challenge", solved).await.expect(200);
    alice.send(&bob.aci, b"x", 1).await.expect(200);
}

#[tokio::test]
async fn a_message_may_be_of_an_unknown_kind() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let body = changed(|body| body["messages"][0]["type"] = json!(0));
    let path = format!("/v1/messages/{}", bob.aci);
    alice.client.put(&path, body).await.expect(200);
    assert_eq!(waiting(&bob).await[0]["type"], 0);
}

#[tokio::test]
async fn what_is_not_said_has_its_defaults() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let body = changed(|body| {
        body.as_object_mut().unwrap().remove("timestamp");
        body["messages"][0]["type"] = json!(7);
        body["destination"] = json!("ignored");
    });
    alice
        .client
        .put(&format!("/v1/messages/{}", bob.aci), body)
        .await
        .expect(200);
    let now = testkit::environment::FrozenClock::START_MILLIS;
    let received = waiting(&bob).await;
    assert_eq!(
        (&received[0]["timestamp"], &received[0]["urgent"]),
        (&json!(now), &json!(true))
    );
    assert_eq!(received[0]["type"], 6, "7 is another name for 6");
    let body = changed(|body| body["online"] = json!(true));
    alice
        .client
        .put(&format!("/v1/messages/{}", bob.aci), body)
        .await
        .expect(200);
    assert_eq!(
        waiting(&bob).await.len(),
        1,
        "what is for now or never does not wait"
    );
}

#[tokio::test]
async fn reports_are_taken_of_whomever_and_counted_for_those_who_exist() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let guid = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
    let report = async |source: &str, guid: &str, body: Option<Value>| {
        let path = format!("/v1/messages/report/{source}/{guid}");
        let body = body.map(|body| serde_json::to_vec(&body).unwrap());
        let client = alice
            .client
            .clone()
            .with("content-type", "application/json");
        client.send("POST", &path, body).await
    };
    let by_account = report(&bob.aci, guid, None).await;
    by_account.expect(202);
    assert!(by_account.position().is_some());
    let by_number = report(&bob.number, guid, Some(json!({ "token": "AAAA" }))).await;
    by_number.expect(202);
    assert!(by_number.position() > by_account.position());
    for nobody in ["+12015550199", "00000000-0000-4000-8000-000000000000"] {
        let reply = report(nobody, guid, Some(json!({}))).await;
        reply.expect(202);
        assert_eq!(reply.position(), None, "{nobody}");
    }
    for (source, guid) in [
        ("nobody", guid),
        ("+1", guid),
        (&format!("PNI:{}", bob.pni), guid),
        (&bob.aci, "7"),
    ] {
        report(source, guid, None).await.expect(404);
    }
    let token = Some(json!({ "token": "***" }));
    report(&bob.aci, guid, token).await.expect(422);
    let path = format!("/v1/messages/report/{}/{guid}", bob.aci);
    door.client().post(&path, json!({})).await.expect(401);
}
