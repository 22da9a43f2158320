//! A device's WebSocket: opens it, sends requests, tells what comes.

use std::time::Duration;

use anyhow::Context as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use prost::Message as _;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::fleet::{Account, Servers};
use crate::frames::{Envelope, Request, WebSocketMessage};

/// How long opening may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Idle crowds hold tens of thousands: buffers grow when they have to.
const BUFFER: usize = 4 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    next: u64,
}

/// What comes over it.
#[derive(Debug)]
pub enum Event {
    /// A message, and the number to answer it with.
    Message(u64, Box<Envelope>),
    /// The queue is empty.
    QueueEmpty,
    /// The answer to a request.
    Answer(u64, u32),
    /// A sign of life.
    Pong,
    /// The server has closed it, with this code if it said one.
    Closed(Option<u16>),
}

impl Socket {
    /// Opens the socket of a device on one of the servers.
    pub async fn open(servers: &Servers, nth: usize, account: &Account) -> anyhow::Result<Self> {
        let opening = Self::open_patiently(servers, servers.nth(nth), account);
        tokio::time::timeout(PATIENCE, opening)
            .await
            .context("opening the socket took too long")?
    }

    async fn open_patiently(
        servers: &Servers,
        url: &Url,
        account: &Account,
    ) -> anyhow::Result<Self> {
        let host = url.host_str().context("the URL names no host")?;
        let port = url
            .port_or_known_default()
            .context("the URL names no port")?;
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match servers.tls() {
            Some(connector) if url.scheme() == "https" => {
                let name = host.to_owned().try_into()?;
                Box::new(connector.connect(name, tcp).await?)
            }
            _ => Box::new(tcp),
        };
        let mut request = format!("ws://{host}:{port}/v1/websocket/").into_client_request()?;
        let credentials = BASE64_STANDARD.encode(format!("{}.1:{}", account.aci, account.password));
        request.headers_mut().insert(
            AUTHORIZATION,
            HeaderValue::from_str(&format!("Basic {credentials}"))?,
        );
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        let (stream, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        Ok(Self { stream, next: 0 })
    }

    /// Sends a request with a JSON body; its number is told. An error means that the socket is of no use any more.
    pub async fn put(&mut self, path: String, body: Bytes) -> anyhow::Result<u64> {
        let id = self.next;
        self.next += 1;
        let request = Request {
            verb: Some("PUT".to_owned()),
            path: Some(path),
            body: Some(body),
            id: Some(id),
            headers: vec!["content-type: application/json".to_owned()],
        };
        let message = Message::Binary(WebSocketMessage::request(request));
        self.stream.send(message).await?;
        Ok(id)
    }

    /// Says that a message has arrived.
    pub async fn acknowledge(&mut self, id: u64) -> anyhow::Result<()> {
        let message = Message::Binary(WebSocketMessage::response(id, 200));
        Ok(self.stream.send(message).await?)
    }

    /// Shows that the device is there.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::Ping(Bytes::new())).await?)
    }

    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Event {
        loop {
            let bytes = match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(frame))) => {
                    return Event::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Pong(_))) => return Event::Pong,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Event::Closed(None),
            };
            let Ok(message) = WebSocketMessage::decode(bytes) else {
                return Event::Closed(None);
            };
            if let Some(event) = event(message) {
                return event;
            }
        }
    }

    /// Leaves in good order.
    pub async fn leave(mut self) {
        let farewell = async {
            _ = self.stream.close(None).await;
            while let Some(Ok(_)) = self.stream.next().await {}
        };
        // Whoever does not answer a farewell is left without.
        _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
    }
}

fn event(message: WebSocketMessage) -> Option<Event> {
    if let Some(response) = message.response {
        return Some(Event::Answer(response.id?, response.status?));
    }
    let request = message.request?;
    match request.path.as_deref()? {
        "/api/v1/message" => {
            let envelope = Envelope::decode(request.body.unwrap_or_default()).ok()?;
            Some(Event::Message(request.id?, Box::new(envelope)))
        }
        "/api/v1/queue/empty" => Some(Event::QueueEmpty),
        _ => None,
    }
}
