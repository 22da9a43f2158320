//! A loopback port whose far end is one node of the cluster.
//!
//! The client writes each call in two small pieces and leaves Nagle's algorithm on, so the second piece waits until the
//! first is acknowledged, and a server acknowledges a lone small piece after 40 ms: 23 calls a second. It offers no way
//! to turn that off. Here its peer is this forwarder, which acknowledges at once, and sends to the node without delay.
//! TLS begins here as well, so that the node's name is checked and not the loopback address.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eventstore::Endpoint;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Error;

/// How many bytes go through at a time, each way.
const BUFFER: usize = 64 << 10;

/// The port. Connections through it break when this is dropped.
#[derive(Debug)]
pub(crate) struct Forwarder {
    address: SocketAddr,
    _stop: DropGuard,
}

/// The way to one node.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) node: Endpoint,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) deadline: Duration,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl Duplex for TcpStream {}
impl Duplex for tokio_rustls::client::TlsStream<TcpStream> {}

impl Forwarder {
    /// Connects to the node, and opens a port for it if that worked.
    pub(crate) async fn open(route: Route, tasks: &TaskTracker) -> Result<Self, Error> {
        let first = route.dial().await?;
        let local = |source: io::Error| Error::Unreachable {
            node: "127.0.0.1 (the forwarder's own port)".to_owned(),
            source: Arc::new(source),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(local)?;
        let address = listener.local_addr().map_err(local)?;
        let stop = CancellationToken::new();
        let serving = serve(listener, route, first, tasks.clone(), stop.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self {
            address,
            _stop: stop.drop_guard(),
        })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Route {
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.node.host, self.node.port)
    }

    async fn dial(&self) -> Result<Box<dyn Duplex>, Error> {
        let unreachable = |source: io::Error| Error::Unreachable {
            node: self.name(),
            source: Arc::new(source),
        };
        match tokio::time::timeout(self.deadline, self.connect()).await {
            Ok(connected) => connected.map_err(unreachable),
            Err(_) => Err(unreachable(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect(self.name()).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.node.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

async fn serve(
    listener: TcpListener,
    route: Route,
    first: Box<dyn Duplex>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let mut first = Some(first);
    // The port has one user, the client here, who finds out by itself that its connection did not come about.
    while let Ok((local, _)) = listener.accept().await {
        let (route, first) = (route.clone(), first.take());
        let forwarding = async move {
            let node = match first {
                Some(node) => Ok(node),
                None => route.dial().await,
            };
            match node {
                Ok(node) => forward(local, node).await,
                Err(error) => tracing::warn!(node = route.name(), %error, "forwarding failed"),
            }
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(forwarding));
    }
}

async fn forward(local: TcpStream, mut node: Box<dyn Duplex>) {
    if local.set_nodelay(true).is_err() {
        return;
    }
    let mut local = QuickAck(local);
    // Either side may break off at any time; both then end, and the client sees it.
    drop(copy_bidirectional_with_sizes(&mut local, &mut node, BUFFER, BUFFER).await);
}

/// A connection that acknowledges what it gets at once. Linux forgets the order, so it is given with each read; other
/// systems do not have it, and the client is as slow there as it would be alone.
struct QuickAck(TcpStream);

impl QuickAck {
    #[cfg(target_os = "linux")]
    fn acknowledge(&self) {
        // Without it calls are slow, not wrong.
        drop(self.0.set_quickack(true));
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge(&self) {}
}

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(cx, buffer);
        self.acknowledge();
        polled
    }
}

impl AsyncWrite for QuickAck {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
