//! A WebSocket client, over HTTP/1.1 and HTTP/2, on a real connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use api::admission::Quota;
use api::ws::frame::{Envelope, Frame, RequestFrame, ResponseFrame};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Device, Door};

/// Nothing in a test takes as long as this unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    next_id: u64,
    pushed: VecDeque<RequestFrame>,
    answers: Vec<ResponseFrame>,
    /// Of the answer that opened it.
    pub(crate) headers: HeaderMap,
}

/// A request that opens a WebSocket.
#[derive(Clone)]
pub(crate) struct Opening {
    address: SocketAddr,
    headers: Vec<(&'static str, String)>,
    path: &'static str,
    http2: bool,
}

impl Door {
    /// Listens on a port of its own from now on.
    pub(crate) async fn listen(&self) -> Opening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = api::serve(
            listener,
            self.router.clone(),
            Quota::unlimited(),
            self.shutdown.clone(),
        );
        self.shutdown.tracker.spawn(serving);
        Opening {
            address,
            headers: Vec::new(),
            path: "/v1/websocket/",
            http2: false,
        }
    }
}

impl Opening {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn at(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn basic(self, username: &str, password: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        self.with("authorization", &format!("Basic {credentials}"))
    }

    pub(crate) fn by(self, device: &Device) -> Self {
        self.basic(&device.username(), &device.password)
    }

    pub(crate) fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) async fn open(&self) -> Socket {
        self.try_open().await.expect("the socket opens")
    }

    /// Opens it, or tells how it was refused.
    pub(crate) async fn try_open(&self) -> Result<Socket, (StatusCode, HeaderMap)> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let opening = async {
            if self.http2 {
                self.open_http2(tcp).await
            } else {
                self.open_http1(tcp).await
            }
        };
        let (stream, headers) = tokio::time::timeout(PATIENCE, opening).await.unwrap()?;
        Ok(Socket {
            stream,
            next_id: 0,
            pushed: VecDeque::new(),
            answers: Vec::new(),
            headers,
        })
    }

    async fn open_http1(
        &self,
        tcp: TcpStream,
    ) -> Result<(WebSocketStream<Box<dyn Stream>>, HeaderMap), (StatusCode, HeaderMap)> {
        let mut request = format!("ws://localhost{}", self.path)
            .into_client_request()
            .unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream: Box<dyn Stream> = Box::new(tcp);
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((stream, response)) => Ok((stream, response.headers().clone())),
            Err(Error::Http(response)) => Err((response.status(), response.headers().clone())),
            Err(error) => panic!("{error}"),
        }
    }

    async fn open_http2(
        &self,
        tcp: TcpStream,
    ) -> Result<(WebSocketStream<Box<dyn Stream>>, HeaderMap), (StatusCode, HeaderMap)> {
        let io = TokioIo::new(tcp);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the client's side ends with the test"
        )]
        tokio::spawn(connection);
        let mut request = Request::connect(format!("https://localhost{}", self.path))
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        sender.ready().await.unwrap();
        let response = sender
            .send_request(request.body(Empty::<Bytes>::new()).unwrap())
            .await
            .unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::OK {
            return Err((status, headers));
        }
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        let stream: Box<dyn Stream> = Box::new(TokioIo::new(upgraded));
        Ok((
            WebSocketStream::from_raw_socket(stream, Role::Client, None).await,
            headers,
        ))
    }
}

impl Socket {
    /// Sends any message.
    pub(crate) async fn send(&mut self, message: Message) {
        // An error means that the server has closed, which the next read tells better.
        let _ = self.stream.send(message).await;
    }

    async fn frame(&mut self) -> Result<Frame, (u16, String)> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("something comes");
            match message {
                Some(Ok(Message::Binary(bytes))) => return Ok(Frame::decode(bytes).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err((0, String::new())),
                Some(Ok(_)) => {}
            }
        }
    }

    async fn take(&mut self) {
        match self.frame().await.expect("the socket is open") {
            Frame::Request(request) => self.pushed.push_back(request),
            Frame::Response(response) => self.answers.push(response),
        }
    }

    /// Pings, and waits for the pong.
    pub(crate) async fn ping(&mut self) {
        self.send(Message::Ping("1".into())).await;
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match message.expect("something comes") {
                Some(Ok(Message::Pong(payload))) => return assert_eq!(payload, "1"),
                Some(Ok(Message::Binary(_))) => {}
                other => panic!("{other:?} in place of a pong"),
            }
        }
    }

    /// Sends a request; its number is told.
    pub(crate) async fn ask(&mut self, verb: &str, path: &str, body: Option<Value>) -> u64 {
        self.ask_with(verb, path, &[], body).await
    }

    /// Sends a request with headers, `name: value` each.
    pub(crate) async fn ask_with(
        &mut self,
        verb: &str,
        path: &str,
        headers: &[&str],
        body: Option<Value>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let kind = body.iter().map(|_| "content-type: application/json");
        let frame = RequestFrame {
            verb: Some(verb.to_owned()),
            path: Some(path.to_owned()),
            body: body.as_ref().map(|body| body.to_string().into()),
            id: Some(id),
            headers: headers
                .iter()
                .copied()
                .chain(kind)
                .map(str::to_owned)
                .collect(),
        };
        self.send(Message::Binary(Frame::Request(frame).encode()))
            .await;
        id
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self, id: u64) -> ResponseFrame {
        loop {
            if let Some(place) = self.answers.iter().position(|answer| answer.id == Some(id)) {
                return self.answers.swap_remove(place);
            }
            self.take().await;
        }
    }

    pub(crate) async fn request(
        &mut self,
        verb: &str,
        path: &str,
        body: Option<Value>,
    ) -> ResponseFrame {
        let id = self.ask(verb, path, body).await;
        self.answer(id).await
    }

    /// The next request of the server.
    pub(crate) async fn pushed(&mut self) -> RequestFrame {
        while self.pushed.is_empty() {
            self.take().await;
        }
        self.pushed.pop_front().unwrap()
    }

    /// The next message, and the number to answer it with.
    pub(crate) async fn message(&mut self) -> (u64, Envelope) {
        let request = self.pushed().await;
        assert_eq!(request.path.as_deref(), Some("/api/v1/message"));
        assert_eq!(request.verb.as_deref(), Some("PUT"));
        assert!(
            request.headers[0].starts_with("X-Signal-Timestamp: 1"),
            "{:?}",
            request.headers
        );
        (
            request.id.unwrap(),
            Envelope::decode(request.body.unwrap()).unwrap(),
        )
    }

    /// Answers a request of the server.
    pub(crate) async fn respond(&mut self, id: u64, status: u32) {
        let frame = ResponseFrame {
            id: Some(id),
            status: Some(status),
            ..ResponseFrame::default()
        };
        self.send(Message::Binary(Frame::Response(frame).encode()))
            .await;
    }

    /// Takes a message and acknowledges it; its client timestamp is told.
    pub(crate) async fn accept(&mut self) -> u64 {
        let (id, envelope) = self.message().await;
        self.respond(id, 200).await;
        envelope.client_timestamp.unwrap()
    }

    /// Waits for the notice that the queue is empty.
    pub(crate) async fn queue_empty(&mut self) {
        let request = self.pushed().await;
        assert_eq!(request.path.as_deref(), Some("/api/v1/queue/empty"));
        assert_eq!(request.body, None);
    }

    /// Whatever the server pushes before the answer to a request that is sent now.
    pub(crate) async fn pushed_by_now(&mut self) -> usize {
        self.request("GET", "/v1/keepalive", None).await;
        self.pushed.len()
    }

    /// How the server closes it. What it pushes before is dropped.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(closed) = self.frame().await {
                return closed;
            }
        }
    }

    /// Leaves in good order.
    pub(crate) async fn leave(mut self) {
        let _ = self.stream.close(None).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}
