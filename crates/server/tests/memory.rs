//! A slow reader costs the server next to nothing, however much waits for it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use api::ws::frame::{Frame, ResponseFrame};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::{SinkExt as _, StreamExt as _};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use support::{DevServer, call, next_number, register};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const MESSAGES: usize = 1000;
const CONTENT: usize = 64 * 1024;

/// "A few MiB": one window of envelopes (1 MiB), their encodings and the page they came from, and the allocator's air.
const GROWTH_KIB: u64 = 12 * 1024;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_large_messages_for_a_slow_reader_do_not_pile_up_in_memory() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let alice = register(&client, &server.http, &next_number(), "a", None)
        .await
        .unwrap();
    let bob = register(&client, &server.http, &next_number(), "b", None)
        .await
        .unwrap();
    let body = json!({
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "content": BASE64_STANDARD.encode(vec![7; CONTENT]),
        }],
        "timestamp": 1_767_225_600_000_u64,
    });
    for _ in 0..MESSAGES {
        let url = format!("{}/v1/messages/{}", server.http, bob.aci);
        let sent = call(
            &client,
            Method::PUT,
            url,
            Some((&alice.aci, "a")),
            Some(body.clone()),
        )
        .await
        .unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }

    let before = memory(server.pid(), "VmRSS");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap(); // starts the high-water mark anew
    let mut request = format!("{}/v1/websocket/", server.http.replace("http", "ws"))
        .into_client_request()
        .unwrap();
    let credentials = BASE64_STANDARD.encode(format!("{}:b", bob.aci));
    request.headers_mut().insert(
        "authorization",
        format!("Basic {credentials}").parse().unwrap(),
    );
    let (mut socket, _) = connect_async(request).await.unwrap();

    // The slowest reader does not read at all. Everything that may be on its way to it is, and stays so.
    while envelopes_sent(&client, &server).await < WINDOW - 1 {
        tokio::task::yield_now().await;
    }
    let mut received = 0;
    while received < MESSAGES {
        let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() else {
            continue;
        };
        let Ok(Frame::Request(request)) = Frame::decode(bytes) else {
            panic!("not a request")
        };
        assert_eq!(request.path.as_deref(), Some("/api/v1/message"));
        received += 1;
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
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
    println!(
        "the server grew by {grown} KiB while {MESSAGES} messages of {CONTENT} bytes waited for a slow reader"
    );
}
