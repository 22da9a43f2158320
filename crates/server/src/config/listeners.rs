//! Where the server listens, and for how many.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

/// Where the server listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Plain HTTP, for a proxy that ends TLS. Empty: none.
    pub(crate) http: Option<SocketAddr>,
    /// HTTPS (needs `[tls]`). Empty: none.
    pub(crate) https: Option<SocketAddr>,
    /// Health and metrics. Keep it away from the public.
    pub(crate) admin: SocketAddr,
    /// Networks of proxies in front, such as `10.0.0.0/8`: what they say in `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            http: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
            https: None,
            admin: SocketAddr::from(([127, 0, 0, 1], 9090)),
            trusted_proxies: Vec::new(),
        }
    }
}

/// The server's certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM, the server's certificate first.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
}

/// How many may be connected at once, to one process. 0: as many as come.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Connections in all.
    pub(crate) connections: usize,
    /// Connections from one address. Behind a proxy or balancer all have the same.
    pub(crate) connections_per_address: usize,
    /// Sockets in all.
    pub(crate) sockets: usize,
    /// Sockets from one address.
    pub(crate) sockets_per_address: usize,
    /// Sockets of the devices of one account.
    pub(crate) sockets_per_account: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_address: 0,
            sockets: 50_000,
            sockets_per_address: 0,
            sockets_per_account: 32,
        }
    }
}
