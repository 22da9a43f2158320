//! Sockets: plain TCP is a listener as it is; here is the one that speaks TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context as _;
use api::listen::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Config;

/// Opens a port.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{key}: cannot listen on {address}; if another process has the port, stop it or choose another")
    })
}

/// The ports that clients come to, open and not served yet: whoever asks for any free port learns which it is before
/// anything is built that has to name it.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) plain: Option<TcpListener>,
    pub(crate) tls: Option<TcpListener>,
}

impl Listeners {
    /// Opens the ports of the configuration.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        if let Some(address) = config.server.http {
            listeners.plain = Some(bind("server.http", address).await?);
        }
        if let Some(address) = config.server.https.filter(|_| config.tls.is_some()) {
            listeners.tls = Some(bind("server.https", address).await?);
        }
        Ok(listeners)
    }

    /// Where plain HTTP is spoken.
    pub(crate) fn http(&self) -> Option<SocketAddr> {
        self.plain.as_ref()?.local_addr().ok()
    }

    /// Where HTTPS is spoken.
    pub(crate) fn https(&self) -> Option<SocketAddr> {
        self.tls.as_ref()?.local_addr().ok()
    }
}

/// A TCP listener whose connections begin with a TLS handshake.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self {
            tcp,
            acceptor: TlsAcceptor::from(config),
        }
    }
}

impl Listener for TlsListener {
    type Stream = TlsStream<TcpStream>;
    type Handshake = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    async fn accept(&mut self) -> io::Result<(Self::Handshake, SocketAddr)> {
        let (stream, from) = self.tcp.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Box::pin(self.acceptor.accept(stream)), from))
    }
}
