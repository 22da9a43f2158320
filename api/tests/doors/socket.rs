//! `/v1/websocket/`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::device::{Identities, message, registration};
use crate::support::socket::{Opening, Socket};
use crate::support::{Device, Door};

const NUMBER: &str = "+12015550123";

async fn two(door: &Door) -> (Device, Device, Opening) {
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    (alice, bob, door.listen().await)
}

#[tokio::test]
async fn requests_are_answered_over_either_version_of_http() {
    let door = Door::open().await;
    let (alice, _, opening) = two(&door).await;
    for opening in [opening.clone().by(&alice), opening.by(&alice).over_http2()] {
        let mut socket = opening.open().await;
        assert!(socket.headers.contains_key("x-signal-timestamp"));
        socket.queue_empty().await;
        socket.ping().await;
        let answer = socket.request("GET", "/v1/accounts/whoami", None).await;
        assert_eq!(
            (answer.id, answer.status, answer.message.as_deref()),
            (Some(0), Some(200), Some("OK"))
        );
        let header = |name: &str| {
            answer
                .headers
                .iter()
                .any(|line| line.starts_with(&format!("{name}: ")))
        };
        assert!(
            answer
                .headers
                .contains(&"content-type: application/json".to_owned())
        );
        assert!(
            header("x-signal-timestamp") && header("x-request-id") && !header("content-length")
        );
        let plain = alice.client.get("/v1/accounts/whoami").await;
        assert_eq!(answer.body.unwrap(), plain.body);
        let answer = socket
            .request("PUT", "/v1/accounts/attributes/", Some(json!({})))
            .await;
        assert_eq!((answer.status, answer.body), (Some(204), None));
        socket.leave().await;
    }
}

#[tokio::test]
async fn an_offer_to_compress_is_not_taken_up() {
    let door = Door::open().await;
    let offer = "permessage-deflate; client_max_window_bits";
    let opening = door.listen().await;
    let opening = opening.with("sec-websocket-extensions", offer);
    for opening in [opening.clone(), opening.over_http2()] {
        let mut socket = opening.open().await;
        assert!(!socket.headers.contains_key("sec-websocket-extensions"));
        let answer = socket.request("GET", "/v1/keepalive", None).await;
        assert_eq!(answer.status, Some(200));
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_403() {
    let door = Door::open().await;
    let (alice, _, opening) = two(&door).await;
    let refused = async |opening: Opening| {
        let (status, headers) = opening.try_open().await.err().expect("it is refused");
        assert!(headers.contains_key("x-signal-timestamp"));
        status
    };
    for opening in [opening.clone(), opening.clone().over_http2()] {
        assert_eq!(
            refused(opening.clone().basic(&alice.aci, "x")).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            refused(opening.clone().with("authorization", "Basic !!")).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            refused(opening.with("authorization", "Bearer x")).await,
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn who_says_nothing_is_nobody() {
    let door = Door::open().await;
    let (alice, _, opening) = two(&door).await;
    let mut socket = opening.open().await;
    let answer = socket.request("GET", "/v1/accounts/whoami", None).await;
    assert_eq!(answer.status, Some(401));
    assert_eq!(
        answer.body.unwrap(),
        r#"{"code":401,"message":"Authenticated resource"}"#
    );
    let head = socket
        .request("HEAD", &format!("/v1/accounts/account/{}", alice.aci), None)
        .await;
    assert_eq!((head.status, head.body), (Some(200), None));
    let unknown = "/v1/accounts/account/00000000-0000-4000-8000-000000000000";
    let head = socket.request("HEAD", unknown, None).await;
    assert_eq!((head.status, head.body), (Some(404), None));
    assert_eq!(
        socket.request("GET", "/v1/keepalive", None).await.status,
        Some(200)
    );
    assert_eq!(
        socket.request("GET", "/v1/websocket/", None).await.status,
        Some(404)
    );
}

#[tokio::test]
async fn what_waits_comes_in_order_and_the_notice_after_the_last_answer() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    for timestamp in 1..=300 {
        alice.send(&bob.aci, b"x", timestamp).await.expect(200);
    }
    let mut socket = opening.clone().by(&bob).open().await;
    let mut last = None;
    for timestamp in 1..=300 {
        let (id, envelope) = socket.message().await;
        assert_eq!(envelope.client_timestamp, Some(timestamp));
        match timestamp {
            300 => last = Some(id),
            _ => socket.respond(id, 200).await,
        }
    }
    assert_eq!(
        socket.pushed_by_now().await,
        0,
        "the last is not answered yet"
    );
    alice.send(&bob.aci, b"x", 301).await.expect(200);
    assert_eq!(
        socket.accept().await,
        301,
        "news do not wait for the notice"
    );
    socket.respond(last.unwrap(), 200).await;
    socket.queue_empty().await;
    alice.send(&bob.aci, b"x", 302).await.expect(200);
    assert_eq!(socket.accept().await, 302);
    assert_eq!(socket.pushed_by_now().await, 0, "the notice comes once");
    socket.leave().await;

    let mut again = opening.by(&bob).open().await;
    again.queue_empty().await;
}

#[tokio::test]
async fn an_envelope_says_all_that_is_known() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let mut socket = opening.by(&bob).open().await;
    socket.queue_empty().await;
    alice.send(&bob.aci, b"hello", 5).await.expect(200);
    let (_, envelope) = socket.message().await;
    let uuid = |text: &str| text.parse::<uuid::Uuid>().unwrap().as_bytes().to_vec();
    assert_eq!(
        (envelope.kind, envelope.client_timestamp),
        (Some(1), Some(5))
    );
    assert_eq!(
        envelope.server_timestamp,
        Some(testkit::environment::FrozenClock::START_MILLIS)
    );
    assert_eq!(
        (
            envelope.content.unwrap().as_ref(),
            envelope.urgent,
            envelope.story
        ),
        (b"hello".as_slice(), Some(true), None)
    );
    assert_eq!(
        (
            envelope.source_service_id.unwrap().to_vec(),
            envelope.source_device
        ),
        (uuid(&alice.aci), Some(1))
    );
    assert_eq!(
        envelope.destination_service_id.unwrap().to_vec(),
        uuid(&bob.aci)
    );
    assert_eq!(envelope.server_guid.unwrap().len(), 16);
}

#[tokio::test]
async fn only_a_2xx_keeps_a_message_from_coming_back() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    for timestamp in 1..=3 {
        alice.send(&bob.aci, b"x", timestamp).await.expect(200);
    }
    let mut socket = opening.clone().by(&bob).open().await;
    for status in [500, 200, 404] {
        let (id, _) = socket.message().await;
        socket.respond(id, status).await;
    }
    socket.queue_empty().await;
    socket.leave().await;
    let mut socket = opening.by(&bob).open().await;
    assert_eq!((socket.accept().await, socket.accept().await), (1, 3));
    socket.queue_empty().await;
}

#[tokio::test]
async fn the_sender_gets_a_receipt() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let mut sender = opening.clone().by(&alice).open().await;
    sender.queue_empty().await;
    alice.send(&bob.aci, b"x", 77).await.expect(200);
    let mut socket = opening.by(&bob).open().await;
    socket.accept().await;
    let (_, receipt) = sender.message().await;
    assert_eq!(
        (receipt.kind, receipt.client_timestamp, receipt.content),
        (Some(5), Some(77), None)
    );
}

#[tokio::test]
async fn what_is_for_now_or_never_reaches_who_is_there() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let mut online = message(b"typing", 1);
    online["online"] = json!(true);
    let path = format!("/v1/messages/{}", bob.aci);
    alice.client.put(&path, online.clone()).await.expect(200);
    let mut socket = opening.by(&bob).open().await;
    socket.queue_empty().await;
    let sent = alice.client.put(&path, online).await;
    assert_eq!(sent.position(), None, "it is no fact");
    let (id, envelope) = socket.message().await;
    assert_eq!(envelope.content.unwrap().as_ref(), b"typing");
    socket.respond(id, 200).await;
    assert_eq!(socket.pushed_by_now().await, 0);
}

#[tokio::test]
async fn stories_are_for_those_who_ask_for_them() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let path = format!("/v1/messages/{}?story=true", bob.aci);
    let anonymous = door.client();
    anonymous.put(&path, message(b"one", 1)).await.expect(200);
    let mut asking = opening
        .clone()
        .by(&bob)
        .with("x-signal-receive-stories", "true")
        .open()
        .await;
    let (_, envelope) = asking.message().await;
    assert_eq!(
        (envelope.story, envelope.client_timestamp),
        (Some(true), Some(1))
    );
    asking.leave().await;

    alice.send(&bob.aci, b"x", 2).await.expect(200);
    let mut socket = opening.clone().by(&bob).open().await;
    assert_eq!(socket.accept().await, 2);
    socket.queue_empty().await;
    socket.leave().await;
    let mut asking = opening
        .by(&bob)
        .with("x-signal-receive-stories", "true")
        .open()
        .await;
    asking.queue_empty().await; // the story counts as delivered
}

#[tokio::test]
async fn a_newer_socket_takes_over() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let opening = opening.by(&bob);
    let mut first = opening.open().await;
    first.queue_empty().await;
    alice.send(&bob.aci, b"x", 1).await.expect(200);
    first.message().await;
    let mut second = opening.open().await;
    assert_eq!(
        first.closed().await,
        (4409, "Connected elsewhere".to_owned())
    );
    assert_eq!(
        second.accept().await,
        1,
        "what was not acknowledged goes to the second"
    );
    second.queue_empty().await;
    let requests_only = opening.with("x-signal-disable-messages", "true");
    let mut third = requests_only.open().await;
    alice.send(&bob.aci, b"x", 2).await.expect(200);
    assert_eq!(
        second.accept().await,
        2,
        "a socket for requests takes nothing over"
    );
    assert_eq!(third.pushed_by_now().await, 0);
}

async fn expect_cut_off(socket: &mut Socket) {
    assert_eq!(
        socket.closed().await,
        (4401, "Reauthentication required".to_owned())
    );
}

#[tokio::test]
async fn whose_credentials_are_void_is_cut_off() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let tablet = door.link(&alice, "tablet").await;
    let mut removed = opening.clone().by(&tablet).open().await;
    let mut requests_only = opening
        .clone()
        .by(&tablet)
        .with("x-signal-disable-messages", "true")
        .open()
        .await;
    let mut primary = opening.clone().by(&alice).open().await;
    for socket in [&mut removed, &mut primary] {
        socket.queue_empty().await;
    }
    alice.client.delete("/v1/devices/2").await.expect(204);
    expect_cut_off(&mut removed).await;
    expect_cut_off(&mut requests_only).await;
    assert_eq!(
        primary
            .request("GET", "/v1/accounts/whoami", None)
            .await
            .status,
        Some(200)
    );

    door.register_with(&alice.number, alice.keys.clone(), "new")
        .await;
    expect_cut_off(&mut primary).await;

    let mut deleting = opening.by(&bob).open().await;
    deleting.queue_empty().await;
    let answer = deleting.request("DELETE", "/v1/accounts/me", None).await;
    assert_eq!(answer.status, Some(204), "the answer comes before the end");
    expect_cut_off(&mut deleting).await;
}

#[tokio::test]
async fn messages_that_are_none_close_the_socket() {
    let door = Door::open().await;
    let (_, bob, opening) = two(&door).await;
    let opening = opening.by(&bob);
    for bytes in [
        vec![0xff],
        vec![],
        b"\x08\x01".to_vec(),
        b"\x08\x02\x12\x00".to_vec(),
    ] {
        let mut socket = opening.open().await;
        socket.send(Message::Binary(bytes.into())).await;
        assert_eq!(socket.closed().await.0, 1007);
    }
    for size in [512 * 1024 + 1, 3 * 1024 * 1024] {
        let mut socket = opening.open().await;
        socket.send(Message::Binary(vec![0; size].into())).await;
        assert_eq!(socket.closed().await.0, 1009, "{size}");
    }
    let mut socket = opening.open().await;
    socket.send(Message::Text("hello".into())).await;
    socket.send(Message::Ping("1".into())).await;
    assert_eq!(
        socket
            .request("GET", "/v1/accounts/whoami", None)
            .await
            .status,
        Some(200)
    );
    assert_eq!(
        socket.request("GET", "no slash", None).await.status,
        Some(400)
    );
    assert_eq!(
        socket.request("", "/v1/accounts/whoami", None).await.status,
        Some(400)
    );
}

#[tokio::test]
async fn many_requests_run_at_once() {
    let door = Door::open().await;
    let (alice, bob, opening) = two(&door).await;
    let mut socket = opening.by(&alice).open().await;
    let path = format!("/v1/messages/{}", bob.aci);
    let mut asked = Vec::new();
    for timestamp in 1..=200 {
        asked.push(
            socket
                .ask("PUT", &path, Some(message(b"x", timestamp)))
                .await,
        );
    }
    for id in asked {
        assert_eq!(socket.answer(id).await.status, Some(200));
    }
    let list = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(list["more"], true);
}

#[tokio::test]
async fn credentials_of_a_request_count_only_where_they_are_new() {
    let door = Door::open().await;
    let opening = door.listen().await;
    let body = registration(&door.verify(NUMBER).await, &Identities::generate(1));
    let credentials = BASE64_STANDARD.encode(format!("{NUMBER}:password"));
    let credentials = format!("authorization: Basic {credentials}");
    let mut socket = opening.open().await;
    let id = socket
        .ask_with("POST", "/v1/registration", &[&credentials], Some(body))
        .await;
    assert_eq!(socket.answer(id).await.status, Some(200));
    let id = socket
        .ask_with("GET", "/v1/accounts/whoami", &[&credentials], None)
        .await;
    assert_eq!(
        socket.answer(id).await.status,
        Some(401),
        "the socket is still nobody's"
    );
    door.client()
        .basic(NUMBER, "password")
        .get("/v1/accounts/whoami")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let door = Door::open().await;
    let (_, bob, opening) = two(&door).await;
    let mut socket = opening.by(&bob).open().await;
    socket.queue_empty().await;
    door.shutdown.token.cancel();
    assert_eq!(socket.closed().await.0, 1000);
    socket.leave().await;
    door.shutdown.tracker.close();
    door.shutdown.tracker.wait().await;
}
