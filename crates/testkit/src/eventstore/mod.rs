//! An in-process server that speaks the streams protocol of EventStoreDB over any [`EventStore`].
//!
//! It stands in for a cluster where none can be installed: the official client connects to it, appends, reads and
//! follows. What it cannot show is said in `docs/eventstore.md`. Everything it keeps, it keeps in the store given to
//! it: positions, revisions and the rules of idempotency are that store's. Only the names of deleted streams are its
//! own.
//!
//! ```no_run
//! # async fn example() {
//! use std::sync::Arc;
//! use testkit::eventstore::Double;
//! use testkit::memory::MemoryStore;
//!
//! let double = Double::over(Arc::new(MemoryStore::default())).await;
//! println!("listening on {}", double.url());
//! double.faults().drop_connections();
//! # }
//! ```

mod append;
mod cluster;
mod convert;
mod delete;
mod faults;
mod listen;
mod read;
mod service;
mod subscribe;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use events::EventStore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

pub use faults::{Cut, Faults, Held, Seen};

use cluster::{Cluster, Features};
use convert::Spacing;
use listen::{Certificate, Listener};
use service::Service;
use wire::gossip::gossip_server::GossipServer;
use wire::server_features::server_features_server::ServerFeaturesServer;
use wire::streams::streams_server::StreamsServer;

/// The most bytes of one message that the double takes, as the real server's.
const MAX_MESSAGE: usize = 17 << 20;

/// The server. It stops when this is dropped.
pub struct Double {
    address: SocketAddr,
    faults: Arc<Faults>,
    certificate: Option<Certificate>,
    _stop: DropGuard,
}

impl Double {
    /// A server over `store`, without TLS, on a free port of the loopback interface.
    pub async fn over(store: Arc<dyn EventStore>) -> Self {
        Self::start(store, None, Spacing(1)).await
    }

    /// The same, but with positions that are not dense: they are far apart, as those of a real server, which are places
    /// in a file.
    pub async fn sparse(store: Arc<dyn EventStore>) -> Self {
        Self::start(store, None, Spacing(97)).await
    }

    /// The same with TLS, for the name `localhost`.
    pub async fn over_tls(store: Arc<dyn EventStore>) -> Self {
        Self::start(store, Some(Certificate::for_localhost()), Spacing(1)).await
    }

    async fn start(
        store: Arc<dyn EventStore>,
        certificate: Option<Certificate>,
        spacing: Spacing,
    ) -> Self {
        let stop = CancellationToken::new();
        let faults = Arc::new(Faults::default());
        let listener = Listener::bind(certificate.as_ref(), faults.clone()).await;
        let address = listener.address();
        let service = Service::new(store, faults.clone(), spacing);
        let server = Server::builder()
            .add_service(ServerFeaturesServer::new(Features))
            .add_service(GossipServer::new(Cluster::new(address, faults.clone())))
            .add_service(StreamsServer::new(service).max_decoding_message_size(MAX_MESSAGE))
            .serve_with_incoming_shutdown(
                listener.incoming(stop.clone()),
                stop.clone().cancelled_owned(),
            );
        TaskTracker::new().spawn(server);
        Self {
            address,
            faults,
            certificate,
            _stop: stop.drop_guard(),
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address in the form that clients take, without user and password.
    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.certificate.is_some() {
            format!("esdb://localhost:{port}")
        } else {
            format!("esdb://127.0.0.1:{port}?tls=false")
        }
    }

    /// The certificate that clients must trust, as PEM; `None` without TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_ref().map(Certificate::pem)
    }

    /// What can be made to go wrong, and what was asked of the server so far.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}
