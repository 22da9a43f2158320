use super::*;
use std::future::{Pending, pending};
use std::net::Ipv4Addr;

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures::StreamExt as _;
use hyper::client::conn::http2;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::http::extract::Json;

/// Short, so that a test need not wait; long enough for what is meant to succeed.
const SHORT: Patience = Patience {
    handshake: Duration::from_millis(300),
    head: Duration::from_millis(300),
    body: Duration::from_millis(300),
    write: Duration::from_millis(300),
    ping: Duration::from_millis(50),
    pong: Duration::from_millis(300),
};

/// Nothing takes as long unless it never comes.
const LONG: Duration = Duration::from_secs(30);

/// A door with three rooms: one that answers, one whose answer is longer than any buffer on its way, and one that wants a
/// body.
async fn open(patience: Patience, places: Arc<Quota<Origin>>) -> (SocketAddr, Shutdown) {
    let endless = || async {
        let pieces = std::iter::repeat_n(Ok::<_, Infallible>(Bytes::from(vec![0; 65_536])), 4096);
        Body::from_stream(futures::stream::iter(pieces))
    };
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/endless", get(endless))
        .route("/body", post(|_: Json<serde_json::Value>| async {}));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let serving = serve_with(patience, listener, router, places, shutdown.clone());
    shutdown.tracker.spawn(serving);
    (address, shutdown)
}

/// Reads to the end; a reset is one, too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    _ = tokio::time::timeout(LONG, reading).await.expect("it ends");
    String::from_utf8_lossy(&read).into_owned()
}

/// Asks and reads the answer, on a connection that stays open.
async fn ask(stream: &mut TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"here") {
        let count = tokio::time::timeout(LONG, stream.read_buf(&mut read)).await;
        assert_ne!(count.unwrap().unwrap(), 0, "it was closed");
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let (address, _) = open(SHORT, Quota::unlimited()).await;
    for beginning in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        rest(&mut stream).await;
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_does_not_keep_a_connection() {
    let (address, _) = open(SHORT, Quota::unlimited()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let (mut reading, mut writing) = stream.split();
    let trickling = async {
        while writing.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut read = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reading.read_to_end(&mut read) => {}
            () = trickling => {}
        }
    };
    tokio::time::timeout(LONG, ended).await.expect("it ends");
}

#[tokio::test]
async fn a_connection_that_asked_may_rest_for_as_long_as_a_head_may_take() {
    let patience = Patience {
        head: LONG,
        ..SHORT
    };
    let (address, _) = open(patience, Quota::unlimited()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut stream).await.contains("200 OK"));
    assert!(ask(&mut stream).await.contains("200 OK"));
}

#[tokio::test]
async fn who_does_not_read_is_given_up() {
    let (address, shutdown) = open(SHORT, Quota::unlimited()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    // The listener itself is one task, the connection the other.
    let given_up = async {
        while shutdown.tracker.len() != 2 {
            tokio::task::yield_now().await;
        }
        while shutdown.tracker.len() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, given_up).await.expect("it is");
    drop(stream);
}

/// Accepts, and then nothing more.
struct Stalling(TcpListener);

impl Listener for Stalling {
    type Stream = TcpStream;
    type Handshake = Pending<io::Result<TcpStream>>;

    async fn accept(&mut self) -> io::Result<(Self::Handshake, SocketAddr)> {
        let (_, from) = self.0.accept().await?;
        Ok((pending(), from))
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_gives_its_place_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let places = Quota::new(1, 1);
    let door = serve_with(
        SHORT,
        Stalling(listener),
        Router::new(),
        Arc::clone(&places),
        shutdown.clone(),
    );
    shutdown.tracker.spawn(door);
    let _stream = TcpStream::connect(address).await.unwrap();
    let place = |taken| {
        let places = &places;
        async move {
            while places.take(Origin::from(address.ip())).is_err() != taken {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(LONG, place(true))
        .await
        .expect("it is taken");
    tokio::time::timeout(LONG, place(false))
        .await
        .expect("it comes back");
}

#[tokio::test]
async fn a_flood_is_turned_away_and_who_is_in_stays_in() {
    let patience = Patience {
        head: LONG,
        ..SHORT
    };
    let (address, _) = open(patience, Quota::new(usize::MAX, 2)).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    ask(&mut first).await;
    ask(&mut second).await;
    for _ in 0..200 {
        let mut more = TcpStream::connect(address).await.unwrap();
        assert_eq!(rest(&mut more).await, "");
    }
    ask(&mut first).await;
    drop(second);
    // Its place is free as soon as the server has noticed.
    let free = async {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            if asked.await.is_ok() && rest(&mut stream).await.contains("here") {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, free).await.expect("it is free");
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_answered_408_and_ends_the_connection() {
    let patience = Patience {
        head: LONG,
        ..SHORT
    };
    let (address, _) = open(patience, Quota::unlimited()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        .await
        .unwrap();
    let (mut reading, mut writing) = stream.split();
    let trickling = async {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pending::<()>().await;
    };
    let mut answer = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reading.read_to_end(&mut answer) => {}
            () = trickling => {}
        }
    };
    tokio::time::timeout(LONG / 2, ended)
        .await
        .expect("it ends");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_stands_still_is_answered_408_and_the_other_streams_go_on() {
    let patience = Patience {
        head: LONG,
        ..SHORT
    };
    let (address, shutdown) = open(patience, Quota::unlimited()).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    shutdown.tracker.spawn(connection);
    let first = futures::stream::iter([Ok::<_, Infallible>(Bytes::from("{"))]);
    let body = Body::from_stream(first.chain(futures::stream::pending()));
    let request = hyper::Request::post("http://x/body").body(body).unwrap();
    let slow = tokio::time::timeout(LONG, client.send_request(request)).await;
    assert_eq!(slow.expect("it is answered").unwrap().status(), 408);
    let request = hyper::Request::get("http://x/")
        .body(Body::empty())
        .unwrap();
    let other = client.send_request(request).await.unwrap();
    assert_eq!(other.status(), 200);
}

/// Reads a frame of HTTP/2: type, flags and payload; nothing if the connection has ended.
async fn frame(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    let reading = async {
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, payload))
    };
    let read = tokio::time::timeout(LONG, reading).await;
    read.expect("something comes, or the end")
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_not_there_any_more() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    const ANSWERED: usize = 5;
    let patience = Patience {
        head: LONG,
        write: LONG,
        ..SHORT
    };
    let (address, _) = open(patience, Quota::unlimited()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // GET / on stream 1, from HPACK's static table but for the authority.
    stream
        .write_all(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x")
        .await
        .unwrap();
    let (mut pings, mut answered) = (0, false);
    while let Some((kind, flags, payload)) = frame(&mut stream).await {
        match kind {
            HEADERS => answered = true,
            SETTINGS if flags & ACK == 0 => {
                stream.write_all(b"\0\0\0\x04\x01\0\0\0\0").await.unwrap();
            }
            PING if flags & ACK == 0 => {
                pings += 1;
                if pings <= ANSWERED {
                    let answer = [b"\0\0\x08\x06\x01\0\0\0\0", &payload[..]].concat();
                    stream.write_all(&answer).await.unwrap();
                }
            }
            _ => {}
        }
    }
    assert!(answered);
    assert_eq!(pings, ANSWERED + 1, "who answers stays");
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_lines() {
    let (address, _) = open(SHORT, Quota::unlimited()).await;
    let line = format!("x: {}\r\n", "a".repeat(limits::HEAD));
    let lines = "x: y\r\n".repeat(limits::HEADER_LINES + 1);
    for head in [line, lines] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\n{head}\r\n");
        // It may be hung up on before all of it is written.
        _ = stream.write_all(request.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
}
