//! From connections to requests: HTTP/1.1 and HTTP/2 on the same listener, a WebSocket over either, a graceful end.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::limits;

/// Where connections come from. What follows the acceptance of a connection and belongs to it alone, such as a TLS
/// handshake, is left to a future, so that a slow client does not keep others waiting.
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Makes an accepted connection ready for HTTP.
    type Handshake: Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// The next connection and where it comes from. Cancel safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Handshake, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Handshake = Ready<io::Result<TcpStream>>;

    async fn accept(&mut self) -> io::Result<(Self::Handshake, SocketAddr)> {
        let (stream, from) = Self::accept(self).await?;
        // Frames are small and a client waits for each: do not hold them back.
        stream.set_nodelay(true)?;
        Ok((ready(Ok(stream)), from))
    }
}

/// When a door ends, and who waits for what it has begun.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Asks for the end: no more connections, no more requests on those that are open.
    pub token: CancellationToken,
    /// Every connection and every WebSocket is a task of this tracker.
    pub tracker: TaskTracker,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            token: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }
}

/// How long to wait after a failure to accept that more connections would only repeat (no file descriptors left).
const RESPITE: Duration = Duration::from_millis(100);

/// Serves `router` to whoever connects to `listener`, until it is asked to end. Connections then finish the requests
/// they have begun; whoever waits for the tracker waits for them.
pub async fn serve(mut listener: impl Listener, router: Router, shutdown: Shutdown) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((handshake, from)) => {
                let connection =
                    connection(handshake, from, router.clone(), shutdown.token.clone());
                shutdown.tracker.spawn(connection);
            }
            Err(error) if is_about_one_connection(&error) => {
                debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                warn!(%error, "cannot accept connections; trying again in {RESPITE:?}");
                tokio::time::sleep(RESPITE).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected
    )
}

/// One connection, from its handshake to its end.
async fn connection<H, S>(handshake: H, from: SocketAddr, router: Router, token: CancellationToken)
where
    H: Future<Output = io::Result<S>> + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = match tokio::time::timeout(limits::HANDSHAKE_PATIENCE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "the handshake failed"),
        Err(_) => {
            return debug!(
                "the handshake took longer than {:?}",
                limits::HANDSHAKE_PATIENCE
            );
        }
    };
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let protocol = protocol();
    let mut connection =
        pin!(protocol.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = %crate::http::problem::chain(&*error), "a connection ended badly");
    }
}

fn protocol() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_PATIENCE)
        .max_headers(limits::HEADER_LINES)
        .max_buf_size(limits::HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(u32::try_from(limits::HEAD).expect("32 KiB fit"))
        .keep_alive_interval(limits::PING_INTERVAL)
        .keep_alive_timeout(limits::PING_PATIENCE);
    builder
}
