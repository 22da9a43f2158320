//! The accounts of the simulated devices: registered over REST, kept in a file for the next run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use crypto::keys::EcPrivateKey;
use crypto::xeddsa;
use events::ports::Entropy;
use futures::{StreamExt as _, TryStreamExt as _};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use reqwest::{Certificate, Client, Method, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

/// The registration id of every simulated device.
pub const REGISTRATION_ID: u32 = 4711;

/// Registrations under way at a time.
const AT_ONCE: usize = 16;

/// Where the servers are, and how to reach them.
#[derive(Clone)]
pub struct Servers {
    urls: Vec<Url>,
    client: Client,
    tls: Option<TlsConnector>,
}

impl Servers {
    /// One URL or more, and the root certificate of the servers if they have one of their own (PEM).
    pub fn new(urls: &[String], ca: Option<&Path>) -> anyhow::Result<Self> {
        let urls = urls
            .iter()
            .map(|url| Url::parse(url).with_context(|| format!("{url} is not a URL")))
            .collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::ensure!(!urls.is_empty(), "there is no server without a URL");
        let mut client = Client::builder().timeout(Duration::from_secs(30));
        let mut tls = None;
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
            client = client.add_root_certificate(Certificate::from_pem(&pem)?);
            tls = Some(connector(&pem)?);
        }
        Ok(Self {
            urls,
            client: client.build()?,
            tls,
        })
    }

    /// The URL of the `nth` server, counted round and round.
    pub fn nth(&self, nth: usize) -> &Url {
        &self.urls[nth % self.urls.len()]
    }

    pub(crate) const fn tls(&self) -> Option<&TlsConnector> {
        self.tls.as_ref()
    }

    /// Asks a server; fails on any answer that is not a success.
    async fn ask(
        &self,
        nth: usize,
        method: Method,
        path: &str,
        credentials: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .client
            .request(method.clone(), self.nth(nth).join(path)?);
        if let Some((name, password)) = credentials {
            request = request.basic_auth(name, Some(password));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        anyhow::ensure!(
            status.is_success(),
            "{method} {path} was answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

fn connector(pem: &[u8]) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A registered account with its one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub aci: String,
    /// The password of its device.
    pub password: String,
}

/// Accounts that are the same in every run with the same seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// Which accounts, and how they prove their numbers.
#[derive(Clone, Debug)]
pub struct Recruiting {
    /// How many.
    pub accounts: usize,
    /// Other seeds have other numbers, up to 999.
    pub seed: u16,
    /// The code that is right for every number.
    pub code: String,
}

impl Fleet {
    /// Registers accounts, some at a time.
    pub async fn recruit(servers: &Servers, wanted: &Recruiting) -> anyhow::Result<Self> {
        let accounts = futures::stream::iter(0..wanted.accounts)
            .map(|n| register(servers, wanted, n))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self { accounts })
    }

    /// Reads the accounts of an earlier run.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Keeps the accounts for later runs.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// `+1`, a made-up area code, and a number that nobody has twice.
fn number(seed: u16, n: usize) -> String {
    let (area, exchange) = (200 + n / 10_000 % 700, 200 + usize::from(seed) % 700);
    format!("+1{area}{exchange}{:04}", n % 10_000)
}

struct Seeded(std::sync::Mutex<ChaCha20Rng>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.0.lock().expect("nothing panics while it draws");
        rng.fill_bytes(bytes);
    }
}

async fn register(servers: &Servers, wanted: &Recruiting, n: usize) -> anyhow::Result<Account> {
    let number = number(wanted.seed, n);
    let sessions = "/v1/verification/session";
    let post =
        async |path: &str, body: Value| servers.ask(n, Method::POST, path, None, Some(&body)).await;
    let session = post(sessions, json!({ "number": number })).await?;
    let id = session["id"].as_str().context("a session has an id")?;
    let code = format!("{sessions}/{id}/code");
    post(&code, json!({ "transport": "sms", "client": "loadgen" })).await?;
    let proof = json!({ "code": wanted.code });
    servers
        .ask(n, Method::PUT, &code, None, Some(&proof))
        .await?;
    let seed = u64::from(wanted.seed) << 32 | u64::try_from(n)?;
    let entropy = Seeded(ChaCha20Rng::seed_from_u64(seed).into());
    let entropy: &dyn Entropy = &entropy;
    let password = BASE64_STANDARD.encode(entropy.bytes::<18>());
    let mut body = keys(entropy);
    body["sessionId"] = id.into();
    body["skipDeviceTransfer"] = true.into();
    body["accountAttributes"] = json!({
        "fetchesMessages": true, "registrationId": REGISTRATION_ID, "pniRegistrationId": REGISTRATION_ID,
        "capabilities": { "spqr": true }, "unidentifiedAccessKey": BASE64_STANDARD.encode(entropy.bytes::<16>()),
    });
    let credentials = Some((number.as_str(), password.as_str()));
    let account = servers
        .ask(
            n,
            Method::POST,
            "/v1/registration",
            credentials,
            Some(&body),
        )
        .await?;
    let aci = account["uuid"].as_str().context("an account has an id")?;
    Ok(Account {
        aci: aci.to_owned(),
        password,
    })
}

/// The keys of a registration. Both identities have one key pair, which a server cannot mind.
fn keys(entropy: &dyn Entropy) -> Value {
    let identity = EcPrivateKey::generate(&mut entropy.rng());
    let signed = |id: u32, key: &[u8]| {
        let signature = xeddsa::sign(&identity, key, &mut entropy.rng());
        json!({
            "keyId": id,
            "publicKey": BASE64_STANDARD.encode(key),
            "signature": BASE64_STANDARD.encode(signature),
        })
    };
    let ec = || {
        let key = EcPrivateKey::generate(&mut entropy.rng());
        key.public_key().as_ref().to_vec()
    };
    let kyber = || {
        let mut key = vec![0; 1569];
        entropy.fill(&mut key);
        key[0] = 0x08;
        key
    };
    let public = BASE64_STANDARD.encode(identity.public_key());
    json!({
        "aciIdentityKey": public,
        "pniIdentityKey": public,
        "aciSignedPreKey": signed(1, &ec()),
        "pniSignedPreKey": signed(2, &ec()),
        "aciPqLastResortPreKey": signed(3, &kyber()),
        "pniPqLastResortPreKey": signed(4, &kyber()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_number_of_another() {
        let mut numbers: Vec<_> = (0..3)
            .flat_map(|seed| (0..30_000).map(move |n| number(seed, n)))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 90_000);
    }
}
