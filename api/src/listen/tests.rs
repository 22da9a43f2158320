use super::*;
use std::future::{Pending, pending};
use std::net::Ipv4Addr;

use axum::body::{Body, Bytes};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Short, so that a test need not wait; long enough for what is meant to succeed.
const SHORT: Patience = Patience {
    handshake: Duration::from_millis(300),
    head: Duration::from_millis(300),
    write: Duration::from_millis(300),
};

/// Nothing takes as long unless it never comes.
const LONG: Duration = Duration::from_secs(30);

/// A door with two rooms: one that answers, and one whose answer is longer than any buffer on its way.
async fn open(patience: Patience, places: Arc<Quota<Origin>>) -> (SocketAddr, Shutdown) {
    let endless = || async {
        let pieces = std::iter::repeat_n(Ok::<_, Infallible>(Bytes::from(vec![0; 65_536])), 4096);
        Body::from_stream(futures::stream::iter(pieces))
    };
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/endless", get(endless));
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
