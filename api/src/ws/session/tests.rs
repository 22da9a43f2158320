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
use tokio::task::JoinSet;
use tokio::time::Instant as Moment;
use tokio_tungstenite::tungstenite::Message as Sent;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http::extract::SocketPeer;
use crate::ws::frame::{Frame, RequestFrame};
use crate::ws::inbox::Inbox;

/// Short, so that a test need not wait; long enough for half of it to pass without anybody being late.
const IDLE: Duration = Duration::from_secs(2);

/// A session whose requests are answered 204 after so long.
fn session(takes: Duration) -> Session<Inbox> {
    Session {
        tunnel: Tunnel::new(SocketPeer::Anonymous, None, None, &HeaderMap::new()),
        handler: Arc::new(move |_| {
            async move {
                tokio::time::sleep(takes).await;
                StatusCode::NO_CONTENT.into_response()
            }
            .boxed()
        }),
        clock: Arc::new(FrozenClock::default()),
        shutdown: CancellationToken::new(),
        idle: IDLE,
        device: None,
    }
}

/// Opens a socket to such a session, in memory.
async fn open(takes: Duration) -> (WebSocketStream<DuplexStream>, JoinSet<()>) {
    let (client, server) = tokio::io::duplex(4096);
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(move |socket| session(takes).run(socket))
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
    let request = RequestFrame {
        verb: Some("GET".to_owned()),
        path: Some("/".to_owned()),
        id: Some(1),
        ..RequestFrame::default()
    };
    let request = Sent::Binary(Frame::Request(request).encode());
    socket.send(request).await.unwrap();
    let Sent::Binary(answer) = socket.next().await.unwrap().unwrap() else {
        panic!("an answer is binary")
    };
    assert!(
        matches!(Frame::decode(answer), Ok(Frame::Response(answer)) if answer.status == Some(204))
    );
    assert_eq!(close_code(&mut socket).await, 1000);
    assert!(opened.elapsed() >= IDLE / 2 + IDLE);
}
