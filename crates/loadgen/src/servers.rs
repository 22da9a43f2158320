//! Where the servers are, and how to reach them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::client::Client;
use reqwest::{Certificate, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// How long a call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// The version of HTTP in which sockets are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// By an upgrade.
    #[default]
    Http1,
    /// By an extended CONNECT (RFC 8441), on a connection of its own for each socket, like official clients.
    Http2,
}

impl Version {
    const fn protocol(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// One server or more: nodes of one installation.
#[derive(Clone)]
pub struct Servers {
    urls: Vec<Url>,
    client: reqwest::Client,
    tls: Option<TlsConnector>,
    version: Version,
}

impl Servers {
    /// One URL or more, and the root certificate of the servers if they have one of their own (PEM).
    pub fn new(urls: &[String], ca: Option<&Path>, version: Version) -> anyhow::Result<Self> {
        let urls = urls
            .iter()
            .map(|url| Url::parse(url).with_context(|| format!("{url} is not a URL")))
            .collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::ensure!(!urls.is_empty(), "there is no server without a URL");
        let mut client = reqwest::Client::builder().timeout(CALL_PATIENCE);
        let mut tls = None;
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
            client = client.add_root_certificate(Certificate::from_pem(&pem)?);
            tls = Some(connector(&pem, version)?);
        }
        let https = urls.iter().any(|url| url.scheme() == "https");
        anyhow::ensure!(
            tls.is_some() || !https,
            "sockets over https need the root certificate of the servers"
        );
        Ok(Self {
            urls,
            client: client.build()?,
            tls,
            version,
        })
    }

    /// The URL of the `nth` server, counted round and round.
    pub fn nth(&self, nth: usize) -> &Url {
        &self.urls[nth % self.urls.len()]
    }

    /// A client of the `nth` server, without credentials.
    pub fn client(&self, nth: usize) -> Client {
        let server = self.nth(nth).as_str().trim_end_matches('/');
        Client::new(self.client.clone(), server)
    }

    pub(crate) fn tls(&self, url: &Url) -> Option<&TlsConnector> {
        self.tls.as_ref().filter(|_| url.scheme() == "https")
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }
}

fn connector(pem: &[u8], version: Version) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![version.protocol().to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
