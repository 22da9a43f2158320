//! From connections to requests: HTTP/1.1 and HTTP/2 on the same listener, a WebSocket over either, a graceful end.

mod patience;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
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

use crate::admission::{Origin, Place, Quota};
use crate::http::body::BodyPatience;
use crate::limits;
use patience::{Patience, Patient};

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

/// Serves `router` to whoever connects to `listener` and finds a place, until it is asked to end. Connections then finish
/// the requests they have begun; whoever waits for the tracker waits for them.
///
/// Whoever finds no place is hung up on at once: an answer would cost more than the place.
pub async fn serve(
    listener: impl Listener,
    router: Router,
    places: Arc<Quota<Origin>>,
    shutdown: Shutdown,
) {
    serve_with(Patience::default(), listener, router, places, shutdown).await;
}

async fn serve_with(
    patience: Patience,
    mut listener: impl Listener,
    router: Router,
    places: Arc<Quota<Origin>>,
    shutdown: Shutdown,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((handshake, from)) => match places.take(from.ip().into()) {
                Ok(place) => {
                    let one = One {
                        from,
                        _place: place,
                        router: router.clone(),
                        patience,
                        token: shutdown.token.clone(),
                    };
                    shutdown.tracker.spawn(one.run(handshake));
                }
                Err(full) => {
                    metrics::counter!("connections_turned_away_total").increment(1);
                    debug!(?full, "no place for a connection");
                }
            },
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

/// One connection.
struct One {
    from: SocketAddr,
    _place: Place<Origin>,
    router: Router,
    patience: Patience,
    token: CancellationToken,
}

impl One {
    /// From its handshake to its end.
    async fn run<H, S>(self, handshake: H)
    where
        H: Future<Output = io::Result<S>> + Send,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match tokio::time::timeout(self.patience.handshake, handshake).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => debug!(%error, "the handshake failed"),
            Err(_) => debug!("the handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            from,
            _place,
            router,
            patience,
            token,
        } = self;
        let asked = CancellationToken::new();
        let first = asked.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            first.cancel();
            request.extensions_mut().insert(ConnectInfo(from));
            request.extensions_mut().insert(BodyPatience(patience.body));
            let router = router.clone();
            async move {
                let answer = router.oneshot(request).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let protocol = protocol(patience);
        let stream = TokioIo::new(Patient::new(stream, patience.write));
        let mut connection = pin!(protocol.serve_connection_with_upgrades(stream, service));
        // Before the first bytes are there, nobody below watches the time.
        let silence = async {
            let first = tokio::time::timeout(patience.head, asked.cancelled()).await;
            if first.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = silence => return debug!("a connection asked for nothing"),
            () = token.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(error = %crate::http::problem::chain(&*error), "a connection ended badly");
        }
    }
}

fn protocol(patience: Patience) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_headers(limits::HEADER_LINES)
        .max_buf_size(limits::HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(u32::try_from(limits::HEAD).expect("32 KiB fit"))
        .keep_alive_interval(patience.ping)
        .keep_alive_timeout(patience.pong);
    builder
}
