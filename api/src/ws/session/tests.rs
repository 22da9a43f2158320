use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::response::IntoResponse as _;
use axum::routing::any;
use futures::FutureExt as _;
use http::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use testkit::environment::FrozenClock;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant as Moment;
use tokio_tungstenite::tungstenite::Message as Sent;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http::extract::SocketPeer;
use crate::ws::frame::{Frame, RequestFrame, ResponseFrame};
use crate::ws::inbox::Inbox;

/// Short, so that a test need not wait; long enough for half of it to pass without anybody being late.
const IDLE: Duration = Duration::from_secs(2);

/// Answers 204 after so long.
fn after(takes: Duration) -> Handler {
    Arc::new(move |_| {
        async move {
            tokio::time::sleep(takes).await;
            StatusCode::NO_CONTENT.into_response()
        }
        .boxed()
    })
}

fn session(handler: Handler) -> Session<Inbox> {
    Session {
        tunnel: Tunnel::new(SocketPeer::Anonymous, None, None, &HeaderMap::new()),
        handler,
        clock: Arc::new(FrozenClock::default()),
        shutdown: CancellationToken::new(),
        idle: IDLE,
        device: None,
    }
}

/// Opens a socket to a session whose requests are answered 204 after so long.
async fn open(takes: Duration) -> (WebSocketStream<DuplexStream>, JoinSet<()>) {
    open_with(after(takes)).await
}

/// Opens a socket to a session in memory.
async fn open_with(handler: Handler) -> (WebSocketStream<DuplexStream>, JoinSet<()>) {
    let (client, server) = tokio::io::duplex(4096);
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(move |socket| session(handler).run(socket))
    };
    let service = TowerToHyperService::new(Router::new().route("/", any(upgrade)));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), service)
            .with_upgrades();
        // It ends with the socket.
        _ = connection.await;
    });
    let (socket, _) = client_async("ws://in.memory/", client).await.unwrap();
    (socket, serving)
}

async fn close_code(socket: &mut WebSocketStream<DuplexStream>) -> u16 {
    loop {
        if let Sent::Close(frame) = socket.next().await.unwrap().unwrap() {
            return frame.unwrap().code.into();
        }
    }
}

async fn ask(socket: &mut WebSocketStream<DuplexStream>, id: u64, path: &str) {
    let request = RequestFrame {
        verb: Some("GET".to_owned()),
        path: Some(path.to_owned()),
        id: Some(id),
        ..RequestFrame::default()
    };
    let request = Sent::Binary(Frame::Request(request).encode());
    socket.send(request).await.unwrap();
}

async fn answer(socket: &mut WebSocketStream<DuplexStream>) -> ResponseFrame {
    let Sent::Binary(answer) = socket.next().await.unwrap().unwrap() else {
        panic!("an answer is binary")
    };
    let Ok(Frame::Response(answer)) = Frame::decode(answer) else {
        panic!("it answers")
    };
    answer
}

#[tokio::test]
async fn who_is_silent_is_let_go() {
    let (mut socket, _serving) = open(Duration::ZERO).await;
    let opened = Moment::now();
    assert_eq!(close_code(&mut socket).await, 1000);
    assert!(opened.elapsed() >= IDLE);
}

#[tokio::test]
async fn who_pings_is_answered_and_stays() {
    let (mut socket, _serving) = open(Duration::ZERO).await;
    let opened = Moment::now();
    tokio::time::sleep(IDLE / 2).await;
    socket.send(Sent::Ping(vec![1].into())).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap();
    assert_eq!(pong, Sent::Pong(vec![1].into()));
    assert_eq!(close_code(&mut socket).await, 1000);
    assert!(opened.elapsed() >= IDLE / 2 + IDLE);
}

#[tokio::test]
async fn an_answer_that_is_read_is_a_sign_of_life() {
    let (mut socket, _serving) = open(IDLE / 2).await;
    let opened = Moment::now();
    ask(&mut socket, 1, "/").await;
    assert_eq!(answer(&mut socket).await.status, Some(204));
    assert_eq!(close_code(&mut socket).await, 1000);
    assert!(opened.elapsed() >= IDLE / 2 + IDLE);
}

/// Answers pages with a megabyte and everything else with 204; counts both.
fn counting(pages: &Arc<AtomicUsize>, others: &Arc<Notify>) -> Handler {
    let (pages, others) = (Arc::clone(pages), Arc::clone(others));
    Arc::new(move |request| {
        let answer = if request.uri().path().starts_with("/v1/messages") {
            pages.fetch_add(1, Ordering::SeqCst);
            vec![7; 1024 * 1024].into_response()
        } else {
            others.notify_one();
            StatusCode::NO_CONTENT.into_response()
        };
        std::future::ready(answer).boxed()
    })
}

#[tokio::test]
async fn pages_are_not_made_before_their_turn_and_keep_nobody_else_waiting() {
    // One that is made, one that is written, and one that was written before the client has seen the end of it.
    const AT_ONCE: usize = limits::LARGE_ANSWERS + 2;
    let (pages, others) = (Arc::default(), Arc::default());
    let (mut socket, _serving) = open_with(counting(&pages, &others)).await;
    let asked = limits::REQUESTS - 1;
    for id in 1..=asked {
        ask(&mut socket, id as u64, "/v1/messages/?more=true").await;
    }
    ask(&mut socket, 0, "/v1/keepalive").await;
    others.notified().await; // by now all requests are read
    let (mut read, mut kept_alive) = (0, false);
    while read < asked || !kept_alive {
        let ahead = pages.load(Ordering::SeqCst) - read;
        assert!(ahead <= AT_ONCE, "{ahead} pages are made and not read");
        match answer(&mut socket).await.status {
            Some(200) => read += 1,
            _ => kept_alive = true,
        }
    }
    assert_eq!(pages.load(Ordering::SeqCst), asked);
}
