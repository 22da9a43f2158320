//! Takes connections, with TLS or without, that can be cut from outside.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::{self, StreamExt as _};
use rcgen::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::faults::Faults;

/// A certificate that signs itself, with its key.
pub(super) struct Certificate {
    pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    pub(super) fn for_localhost() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()])
                .expect("a certificate for localhost can be made");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            pem: cert.pem(),
            config: Arc::new(config),
        }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }
}

pub(super) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    faults: Arc<Faults>,
}

impl Listener {
    pub(super) async fn bind(certificate: Option<&Certificate>, faults: Arc<Faults>) -> Self {
        let socket = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("the loopback interface has a free port");
        Self {
            socket,
            tls: certificate.map(|certificate| certificate.config.clone().into()),
            faults,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .expect("a bound listener has an address")
    }

    /// The connections to come. Ends, and cuts those that are open, with `stop`.
    pub(super) fn incoming(
        self,
        stop: CancellationToken,
    ) -> impl Stream<Item = io::Result<Connection>> {
        let ended = stop.clone().cancelled_owned();
        stream::unfold((self, stop), |(listener, stop)| async {
            loop {
                // A connection that fails to come about is the client's affair.
                if let Ok(Some(connection)) = listener.accept(&stop).await {
                    return Some((Ok(connection), (listener, stop)));
                }
            }
        })
        .take_until(ended)
    }

    async fn accept(&self, stop: &CancellationToken) -> io::Result<Option<Connection>> {
        let (stream, _) = self.socket.accept().await?;
        let Some(cut) = self.faults.connection() else {
            return Ok(None);
        };
        stream.set_nodelay(true)?;
        let stream: Box<dyn Transport> = match &self.tls {
            Some(tls) => Box::new(tls.accept(stream).await?),
            None => Box::new(stream),
        };
        Ok(Some(Connection {
            stream,
            cut: Box::pin(cut.cancelled_owned()),
            stop: Box::pin(stop.clone().cancelled_owned()),
        }))
    }
}

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl Transport for TcpStream {}
impl Transport for tokio_rustls::server::TlsStream<TcpStream> {}

/// A connection that breaks when its token, or the server's, is cancelled.
pub(super) struct Connection {
    stream: Box<dyn Transport>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() || self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
