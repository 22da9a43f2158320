//! Certificates: read from files in production, made here for `dev`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Both HTTP versions on one port; clients that offer both get HTTP/2.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where `dev` keeps its certificates.
#[derive(Clone, Debug)]
pub(crate) struct DevCertificates {
    /// The root that clients must trust, PEM.
    pub(crate) ca: PathBuf,
    /// The server's certificate, PEM.
    pub(crate) certificate: PathBuf,
    /// The server's private key, PEM.
    pub(crate) key: PathBuf,
}

impl DevCertificates {
    /// Uses the certificates in `folder`, or makes them: a root of its own and a certificate for `localhost`.
    ///
    /// The root's key is thrown away, so that nothing else can ever be signed with it.
    pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let at = |name: &str| folder.join(name);
        let paths = Self {
            ca: at("ca.pem"),
            certificate: at("server.pem"),
            key: at("server.key"),
        };
        if !(paths.ca.exists() && paths.certificate.exists() && paths.key.exists()) {
            paths
                .make()
                .with_context(|| format!("cannot make certificates in {}", folder.display()))?;
        }
        Ok(paths)
    }

    fn make(&self) -> anyhow::Result<()> {
        let root_key = KeyPair::generate()?;
        let mut root = CertificateParams::default();
        root.distinguished_name = named("Heliograph development root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = root.self_signed(&root_key)?;

        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = named("Heliograph development server");
        let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key))?;

        fs::write(&self.ca, ca.pem())?;
        fs::write(&self.certificate, certificate.pem())?;
        write_private(&self.key, key.serialize_pem().as_bytes())
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(contents)?;
    Ok(())
}

/// Reads a certificate chain and its key.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            format!(
                "tls.certificate: cannot read a PEM chain from {}",
                certificate.display()
            )
        })?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("tls.key: cannot read a PEM key from {}", key.display()))?;
    // Named, since a dependency may bring another provider along.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("tls: the certificate and the key do not belong together")?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_certificates_are_kept_and_can_be_served() {
        let folder = tempfile::tempdir().unwrap();
        let first = DevCertificates::in_folder(folder.path()).unwrap();
        let ca = fs::read(&first.ca).unwrap();
        let again = DevCertificates::in_folder(folder.path()).unwrap();
        assert_eq!(fs::read(&again.ca).unwrap(), ca);
        let config = server_config(&again.certificate, &again.key).unwrap();
        assert_eq!(
            config.alpn_protocols,
            [b"h2".to_vec(), b"http/1.1".to_vec()]
        );
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let nowhere = Path::new("/nowhere/server.pem");
        let error = server_config(nowhere, nowhere).unwrap_err();
        assert!(error.to_string().contains("/nowhere/server.pem"), "{error}");
    }
}
