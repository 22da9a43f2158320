//! Opens sockets: TCP, TLS where the server speaks it, and the handshake of either version of HTTP.

use anyhow::Context as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::fleet::Account;
use crate::servers::{Servers, Version};

/// Where the sockets of devices are opened.
const PATH: &str = "/v1/websocket/";

/// Idle crowds hold tens of thousands: buffers grow when they have to.
const BUFFER: usize = 4 * 1024;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open WebSocket, and what it travels in.
pub(crate) struct Line {
    pub(crate) stream: WebSocketStream<Box<dyn Stream>>,
    _connection: Option<Connection>,
}

/// An HTTP/2 connection. It ends when this is dropped.
struct Connection {
    _requests: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

/// Opens a WebSocket as a device.
pub(crate) async fn dial(servers: &Servers, url: &Url, account: &Account) -> anyhow::Result<Line> {
    let host = url.host_str().context("the URL names no host")?;
    let port = url
        .port_or_known_default()
        .context("the URL names no port")?;
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match servers.tls(url) {
        Some(connector) => {
            let name = host.to_owned().try_into()?;
            Box::new(connector.connect(name, tcp).await?)
        }
        None => Box::new(tcp),
    };
    let credentials = format!("{}.{}:{}", account.aci, account.device, account.password);
    let credentials = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let credentials = HeaderValue::from_str(&credentials)?;
    match servers.version() {
        Version::Http1 => upgrade(stream, &format!("{host}:{port}"), credentials).await,
        Version::Http2 => {
            let scheme = url.scheme();
            connect(stream, &format!("{scheme}://{host}:{port}"), credentials).await
        }
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
}

async fn upgrade(
    stream: Box<dyn Stream>,
    authority: &str,
    credentials: HeaderValue,
) -> anyhow::Result<Line> {
    let mut request = format!("ws://{authority}{PATH}").into_client_request()?;
    request.headers_mut().insert(AUTHORIZATION, credentials);
    let (stream, _) = client_async_with_config(request, stream, Some(config())).await?;
    Ok(Line {
        stream,
        _connection: None,
    })
}

async fn connect(
    stream: Box<dyn Stream>,
    server: &str,
    credentials: HeaderValue,
) -> anyhow::Result<Line> {
    let (mut requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // However it ends, the WebSocket on it notices.
        _ = connection.await;
    });
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("{server}{PATH}"))
        .extension(Protocol::from_static("websocket"))
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(AUTHORIZATION, credentials)
        .body(Empty::new())?;
    let answer = requests.send_request(request).await?;
    anyhow::ensure!(
        answer.status() == StatusCode::OK,
        "the server answered {}",
        answer.status()
    );
    let opened: Box<dyn Stream> = Box::new(TokioIo::new(hyper::upgrade::on(answer).await?));
    Ok(Line {
        stream: WebSocketStream::from_raw_socket(opened, Role::Client, Some(config())).await,
        _connection: Some(Connection {
            _requests: requests,
            _driver: driver,
        }),
    })
}
