//! However much waits for a client, the server needs next to nothing for it: whether it does not read, or reads for long.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use api::ws::frame::{Frame, RequestFrame, ResponseFrame};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::codec::Fact;
use events::mailbox::{EnvelopeKind, MailboxEvent, MessageQueued};
use events::store::{Append, EventStore as _, Expected, NewEvent, Recorded};
use events::stream::Family;
use events::{AnyEvent, EventId, MessageGuid, Payload, PayloadId, Position, Timestamp};
use futures::{SinkExt as _, StreamExt as _};
use loadgen::fleet::{Fleet, Recruiting};
use loadgen::servers::{Servers, Version};
use loadgen::socket::{Event, Socket};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use support::cluster::Installation;
use support::{Account, DevServer, call, next_number, register};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

const MESSAGES: u64 = 1000;
const CONTENT: usize = 64 * 1024;

/// Until the first messages are through: a window of envelopes (1 MiB), their encodings and the page they came from, buffers
/// of database connections, and the allocator's stock of blocks of these sizes, which was measured at 8 to 14 MiB. 64 MiB wait.
const START_KIB: u64 = 24 * 1024;

/// From then on: nothing more, but a busy machine lets what is done beside it fall together. 0 to 12 MiB were measured.
const GROWTH_KIB: u64 = 24 * 1024;

/// Messages that the server sends before the first is answered: what fits in its window of 1 MiB.
const WINDOW: u64 = 1024 * 1024 / CONTENT as u64;

/// A line of `/proc/{pid}/status`, in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with(what))
        .expect("Linux counts memory");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// As the server counts them.
async fn envelopes_sent(client: &Client, server: &DevServer) -> u64 {
    let metrics = client.get(format!("{}/metrics", server.admin)).send();
    let text = metrics.await.unwrap().text().await.unwrap();
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("websocket_envelopes_sent_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Puts messages of `CONTENT` bytes into somebody's queue.
async fn queue_up(client: &Client, server: &DevServer, from: &Account, to: &Account, count: u64) {
    let body = json!({
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "content": BASE64_STANDARD.encode(vec![7; CONTENT]),
        }],
        "timestamp": 1_767_225_600_000_u64,
    });
    for _ in 0..count {
        let url = format!("{}/v1/messages/{}", server.http, to.aci);
        let user = Some((from.aci.as_str(), "a"));
        let sent = call(client, Method::PUT, url, user, Some(body.clone())).await;
        assert_eq!(sent.unwrap().status(), StatusCode::OK);
    }
}

/// Opens somebody's socket.
async fn open(
    server: &DevServer,
    of: &Account,
    requests_only: &'static str,
) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut request = format!("{}/v1/websocket/", server.http.replace("http", "ws"))
        .into_client_request()
        .unwrap();
    let credentials = BASE64_STANDARD.encode(format!("{}:a", of.aci));
    let credentials = format!("Basic {credentials}").parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("authorization", credentials);
    let requests_only = HeaderValue::from_static(requests_only);
    headers.insert("x-signal-disable-messages", requests_only);
    connect_async(request).await.unwrap().0
}

/// Lets somebody read as slowly as can be: not before the server has sent all that it may, and then one at a time. Tells how
/// large the server was when the first of them were through, in KiB.
async fn read_slowly(client: &Client, server: &DevServer, reader: &Account, count: u64) -> u64 {
    let mut soon = 0;
    let sent_before = envelopes_sent(client, server).await;
    let mut socket = open(server, reader, "false").await;
    while envelopes_sent(client, server).await < sent_before + WINDOW - 1 {
        tokio::task::yield_now().await;
    }
    let mut received = 0;
    while received < count {
        let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() else {
            continue;
        };
        let Ok(Frame::Request(request)) = Frame::decode(bytes) else {
            panic!("not a request")
        };
        assert_eq!(request.path.as_deref(), Some("/api/v1/message"));
        received += 1;
        if received == 2 * WINDOW {
            soon = memory(server.pid(), "VmHWM");
        }
        let answer = ResponseFrame {
            id: request.id,
            status: Some(200),
            message: Some("OK".to_owned()),
            ..ResponseFrame::default()
        };
        socket
            .send(Message::Binary(Frame::Response(answer).encode()))
            .await
            .unwrap();
    }
    soon
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_large_messages_for_a_slow_reader_do_not_pile_up_in_memory() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let mut people = Vec::new();
    for _ in 0..3 {
        let person = register(&client, &server.http, &next_number(), "a", None).await;
        people.push(person.unwrap());
    }
    let [alice, bob, carol] = &people[..] else {
        unreachable!()
    };
    // The allocator lays in a stock for each size of block, which is not what is measured here.
    queue_up(&client, &server, alice, carol, 4 * WINDOW).await;
    read_slowly(&client, &server, carol, 4 * WINDOW).await;
    queue_up(&client, &server, alice, bob, MESSAGES).await;

    let before = memory(server.pid(), "VmRSS");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap(); // starts the high-water mark anew
    let soon = read_slowly(&client, &server, bob, MESSAGES).await;
    let grown = memory(server.pid(), "VmHWM").saturating_sub(soon);
    let start = soon.saturating_sub(before);
    assert!(start < START_KIB, "the server grew by {start} KiB at once");
    assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
    println!(
        "the server grew by {start} KiB at first, then by {grown} KiB, while {MESSAGES} messages of {CONTENT} bytes waited for \
         a slow reader"
    );
}

/// Requests for a page on one socket, as many as are worked on at a time, and the bytes of a page at the least: 4 MiB of
/// contents, in base64.
const PAGES: usize = 64;
const PAGE: usize = 4 * 1024 * 1024 / 3 * 4;

/// A client that does not read costs three pages, each in two or three forms while it is made; so does one that reads. All
/// pages have 340 MiB.
const PAGES_GROWTH_KIB: u64 = 96 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_to_a_client_that_does_not_read_are_not_made_before_their_turn() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let alice = register(&client, &server.http, &next_number(), "a", None).await;
    let bob = register(&client, &server.http, &next_number(), "a", None).await;
    let (alice, bob) = (alice.unwrap(), bob.unwrap());
    queue_up(&client, &server, &alice, &bob, 4 * WINDOW).await;
    let mut socket = open(&server, &bob, "true").await;

    let before = memory(server.pid(), "VmRSS");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap(); // starts the high-water mark anew
    for id in 0..PAGES as u64 {
        let request = RequestFrame {
            verb: Some("GET".to_owned()),
            path: Some("/v1/messages".to_owned()),
            id: Some(id),
            ..RequestFrame::default()
        };
        let request = Message::Binary(Frame::Request(request).encode());
        socket.send(request).await.unwrap();
    }
    // While it does some of the same work for somebody who reads, it has the time to do it for somebody who does not.
    let url = format!("{}/v1/messages", server.http);
    for _ in 0..PAGES / 4 {
        let user = Some((bob.aci.as_str(), "a"));
        let page = call(&client, Method::GET, url.clone(), user, None).await;
        page.unwrap().bytes().await.unwrap();
    }
    let grown = || memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown() < PAGES_GROWTH_KIB, "it grew by {} KiB", grown());
    let mut answered = HashSet::new();
    while answered.len() < PAGES {
        let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() else {
            continue;
        };
        let Ok(Frame::Response(answer)) = Frame::decode(bytes) else {
            panic!("not an answer")
        };
        assert_eq!(answer.status, Some(200));
        assert!(answer.body.unwrap().len() > PAGE);
        assert!(answered.insert(answer.id), "each is answered once");
    }
    let grown = grown();
    assert!(grown < PAGES_GROWTH_KIB, "the server grew by {grown} KiB");
    println!(
        "the server grew by {grown} KiB while {PAGES} pages waited for a client that did not read"
    );
}

/// What waits for one device in the third test.
const QUEUE: u64 = 100_000;

/// Bytes of each.
const SMALL: usize = 1024;

/// Messages in one append.
const BATCH: u64 = 1000;

/// A window and a page of small messages, the acknowledgements and erasures that follow them, and the allocator's air. All
/// of the queue has 98 MiB of content alone.
const DRAIN_GROWTH_KIB: u64 = 32 * 1024;

/// Message `n`, as it is stored: like `first`, which came over the public protocol, but sealed, so that nobody gets a receipt.
fn queued(n: u64, first: &Recorded, template: &MessageQueued) -> NewEvent {
    let id = Uuid::from_u128(u128::from(n));
    let payload = Payload {
        id: PayloadId(id),
        bytes: vec![7; SMALL].into(),
    };
    let event = AnyEvent::from(MailboxEvent::from(MessageQueued {
        guid: MessageGuid::from_uuid(id),
        kind: EnvelopeKind::UnidentifiedSender,
        client_timestamp: Timestamp::from_epoch_millis(n).unwrap(),
        source: None,
        content: Some(payload.reference()),
        ..template.clone()
    }));
    NewEvent {
        id: EventId::from_uuid(id),
        type_name: event.type_name(),
        data: event.to_json().unwrap().into(),
        metadata: first.metadata.clone(),
        payloads: vec![payload],
    }
}

/// Fills the queue of the only device that has one, which may take as long as it takes.
async fn fill(installation: &Installation) {
    let store = installation.database.event_store().await;
    let found = store.read_all(Position::START, &[Family::Mailbox], 1).await;
    let first = found.unwrap().events.remove(0);
    let AnyEvent::Mailbox(MailboxEvent::MessageQueued(template)) =
        Fact::decode(&first).unwrap().event
    else {
        panic!("it was sent and not fetched")
    };
    for batch in 0..QUEUE / BATCH {
        let events = (batch * BATCH + 1..=(batch + 1) * BATCH)
            .map(|n| queued(n, &first, &template))
            .collect();
        let append = Append::one(first.stream.clone(), Expected::Any, events);
        store.append(append).await.unwrap();
    }
    installation.database.stop_stores().await;
}

async fn everybody_has_caught_up(installation: &Installation) {
    let behind = "SELECT count(*) FROM projection.checkpoints, log.head
                  WHERE checkpoints.position < head.position";
    while sqlx::query_scalar::<_, i64>(behind)
        .fetch_one(&installation.database.pool)
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_a_hundred_thousand_is_drained_in_order_with_constant_memory() {
    let installation = Installation::new().await;
    let node = installation.start();
    let servers = Servers::new(&[format!("http://{}", node.http)], None, Version::Http1).unwrap();
    let wanted = Recruiting {
        accounts: 2,
        seed: 2,
        code: "123456".to_owned(),
    };
    let fleet = Fleet::recruit(&servers, &wanted).await.unwrap();
    let [alice, bob] = &fleet.accounts[..] else {
        unreachable!()
    };
    let mut sending = Socket::open(&servers, 0, alice).await.unwrap();
    let sent = sending.send(bob, b"first".to_vec(), 1).await.unwrap();
    while !matches!(sending.next().await, Event::Answer(id, 200, _) if id == sent) {}
    sending.leave().await;
    fill(&installation).await;
    everybody_has_caught_up(&installation).await;

    let before = memory(node.pid(), "VmRSS");
    std::fs::write(format!("/proc/{}/clear_refs", node.pid()), "5").unwrap();
    let mut socket = Socket::open(&servers, 0, bob).await.unwrap();
    let mut received = 0;
    loop {
        match socket.next().await {
            Event::Message(id, envelope) => {
                // The first is the one that was sent; the others are named by their timestamps.
                let expected = received.max(1);
                assert_eq!(envelope.client_timestamp, Some(expected), "in order");
                received += 1;
                socket.acknowledge(id).await.unwrap();
            }
            Event::QueueEmpty => break,
            Event::Closed(code) => panic!("closed with {code:?} after {received}"),
            Event::Answer(..) | Event::Pong => {}
        }
    }
    assert_eq!(received, QUEUE + 1);
    let grown = memory(node.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < DRAIN_GROWTH_KIB, "the server grew by {grown} KiB");
    socket.leave().await;
    let mut again = Socket::open(&servers, 0, bob).await.unwrap();
    assert!(
        matches!(again.next().await, Event::QueueEmpty),
        "all is done"
    );
    println!("the server grew by {grown} KiB while {QUEUE} messages were fetched");
}
