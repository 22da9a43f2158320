//! A real server in a process of its own, and a plain REST client for it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod cluster;
pub(crate) mod stream;
pub(crate) mod wire;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use crypto::keys::EcPrivateKey;
use crypto::xeddsa;
use events::ports::Entropy;
use events::values::keys::KyberPublicKey;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use testkit::environment::SeededEntropy;

/// The binary under test.
pub(crate) const HELIOGRAPH: &str = env!("CARGO_BIN_EXE_heliograph");

/// A running `heliograph dev`. Killed when dropped.
pub(crate) struct DevServer {
    child: Child,
    /// Base of plain HTTP, without a trailing slash.
    pub(crate) http: String,
    /// Base of health and metrics.
    pub(crate) admin: String,
    /// Everything it printed until it was ready.
    pub(crate) greeting: String,
}

impl DevServer {
    /// Starts a server on ports of its own choice, and waits for it to say that it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same, with more to say on the command line.
    pub(crate) fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(HELIOGRAPH)
            .args([
                "dev",
                "--http-port",
                "0",
                "--https-port",
                "0",
                "--admin-port",
                "0",
                "--data-dir",
            ])
            .arg(data)
            .args(arguments)
            .env(
                "RUST_LOG",
                std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()),
            )
            .env_remove("DATABASE_URL")
            .env_remove("EVENTSTORE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut greeting = String::new();
        for line in lines.by_ref() {
            let line = line.expect("the server prints text");
            greeting.push_str(&line);
            greeting.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        // Whatever else it prints must not block it.
        std::thread::Builder::new()
            .spawn(move || lines.for_each(drop))
            .expect("a thread starts");
        let (http, admin) = (
            word_after(&greeting, "HTTP "),
            word_after(&greeting, "Health "),
        );
        Self {
            child,
            http,
            admin,
            greeting,
        }
    }

    /// The postmaster of the server's private cluster.
    pub(crate) fn postmaster(&self) -> u32 {
        let directory = word_after(&self.greeting, "Postgres ");
        let file = Path::new(&directory).join("data/postmaster.pid");
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        text.lines()
            .next()
            .expect("a pid file has lines")
            .trim()
            .parse()
            .expect("the first is the pid")
    }

    /// What the admin listener answers to a question.
    pub(crate) async fn admin(&self, client: &Client, path: &str) -> (StatusCode, String) {
        let answer = client.get(format!("{}{path}", self.admin)).send().await;
        let answer = answer.expect("the admin listener answers");
        (answer.status(), answer.text().await.expect("text"))
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server was ours to wait for");
    }

    /// Ctrl-C, and wait until it has stopped by itself.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        signal("INT", self.pid());
        self.child.wait().expect("the server was ours to wait for")
    }
}

/// The word that follows a label in what the server printed.
fn word_after(greeting: &str, label: &str) -> String {
    let line = greeting
        .lines()
        .find(|line| line.trim_start().starts_with(label));
    let line =
        line.unwrap_or_else(|| panic!("the server did not print {label}; it printed:\n{greeting}"));
    line.split_whitespace()
        .nth(1)
        .expect("an address follows")
        .to_owned()
}

impl Drop for DevServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to the database of the server with this data.
pub(crate) async fn connect(data: &Path) -> PgConnection {
    let url = std::fs::read_to_string(data.join("database.url")).expect("the server wrote it");
    let connection = PgConnection::connect(url.trim()).await;
    connection.expect("the database can be reached")
}

/// What `replay status` says of a read model or reactor.
pub(crate) fn standing(data: &Path, name: &str) -> Value {
    let (_, said) = heliograph(data, &["replay", "status", "--json"]);
    let line = said.lines().find(|line| line.starts_with('['));
    let line = line.unwrap_or_else(|| panic!("no standings in: {said}"));
    let standings: Vec<Value> = serde_json::from_str(line).expect("JSON");
    let mut standings = standings.into_iter();
    let standing = standings.find(|it| it["model"] == name);
    standing.unwrap_or_else(|| panic!("{name} is missing in: {said}"))
}

/// Sends a signal by name.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.expect("kill runs").success(), "no process {pid}");
}

/// Whether a process with this id exists.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Runs a subcommand against the server of `data`; returns its status and what it printed.
pub(crate) fn heliograph(data: &Path, arguments: &[&str]) -> (ExitStatus, String) {
    let output = Command::new(HELIOGRAPH)
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .env_remove("DATABASE_URL")
        .output()
        .expect("the binary starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

/// One account with its password.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) number: String,
    pub(crate) aci: String,
    pub(crate) password: String,
}

/// A number that no other account of this process has.
pub(crate) fn next_number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("+1{}555{:04}", 201 + n / 10_000, n % 10_000)
}

/// One request. `as_` is user name and password.
pub(crate) async fn call(
    client: &Client,
    method: Method,
    url: String,
    as_: Option<(&str, &str)>,
    body: Option<Value>,
) -> reqwest::Result<Response> {
    let mut request = client.request(method, url);
    if let Some((user, password)) = as_ {
        request = request.basic_auth(user, Some(password));
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await
}

/// The keys with which a client registers, as the REST API spells them.
pub(crate) struct ClientKeys {
    identity: EcPrivateKey,
    entropy: SeededEntropy,
}

impl ClientKeys {
    /// Draws the keys that belong to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        Self {
            identity: EcPrivateKey::generate(&mut rng(&entropy)),
            entropy,
        }
    }

    fn signed(&self, key_id: u32, public_key: &[u8]) -> Value {
        let signature = xeddsa::sign(&self.identity, public_key, &mut rng(&self.entropy));
        json!({
            "keyId": key_id,
            "publicKey": BASE64_STANDARD.encode(public_key),
            "signature": BASE64_STANDARD.encode(signature),
        })
    }

    fn kyber(&self) -> Vec<u8> {
        let mut key = vec![0; KyberPublicKey::LEN];
        self.entropy.fill(&mut key);
        key[0] = 0x08;
        key
    }

    fn ec(&self) -> Vec<u8> {
        EcPrivateKey::generate(&mut rng(&self.entropy))
            .public_key()
            .as_ref()
            .to_vec()
    }

    /// The members of a registration that hold keys. Both identities use one key pair, which the server cannot mind.
    pub(crate) fn registration(&self) -> Value {
        let identity = BASE64_STANDARD.encode(self.identity.public_key());
        json!({
            "aciIdentityKey": identity,
            "pniIdentityKey": identity,
            "aciSignedPreKey": self.signed(1, &self.ec()),
            "pniSignedPreKey": self.signed(2, &self.ec()),
            "aciPqLastResortPreKey": self.signed(3, &self.kyber()),
            "pniPqLastResortPreKey": self.signed(4, &self.kyber()),
        })
    }

    /// A body of `PUT /v2/keys` with one-time keys of these ids.
    pub(crate) fn one_time(&self, ids: std::ops::Range<u32>) -> Value {
        let ec = |id| json!({ "keyId": id, "publicKey": BASE64_STANDARD.encode(self.ec()) });
        let kyber = |id| self.signed(id, &self.kyber());
        json!({
            "preKeys": ids.clone().map(ec).collect::<Vec<_>>(),
            "pqPreKeys": ids.map(kyber).collect::<Vec<_>>(),
        })
    }
}

fn rng(entropy: &SeededEntropy) -> events::ports::EntropyRng<'_> {
    let entropy: &dyn Entropy = entropy;
    entropy.rng()
}

/// Proves a number with the code of `dev` and registers it. Fails on the first answer that is not a success.
pub(crate) async fn register(
    client: &Client,
    base: &str,
    number: &str,
    password: &str,
    keys: Option<&ClientKeys>,
) -> reqwest::Result<Account> {
    let sessions = format!("{base}/v1/verification/session");
    let session: Value = call(
        client,
        Method::POST,
        sessions.clone(),
        None,
        Some(json!({ "number": number })),
    )
    .await?
    .error_for_status()?
    .json()
    .await?;
    let code = format!(
        "{sessions}/{}/code",
        session["id"].as_str().expect("a session has an id")
    );
    let request = json!({ "transport": "sms", "client": "test" });
    call(client, Method::POST, code.clone(), None, Some(request))
        .await?
        .error_for_status()?;
    call(
        client,
        Method::PUT,
        code,
        None,
        Some(json!({ "code": "123456" })),
    )
    .await?
    .error_for_status()?;
    let mut body = keys.map_or_else(|| json!({}), ClientKeys::registration);
    body["sessionId"] = session["id"].clone();
    body["skipDeviceTransfer"] = json!(true);
    body["accountAttributes"] = json!({
        "fetchesMessages": true, "registrationId": 4711, "pniRegistrationId": 4712,
        "capabilities": { "spqr": true }, "unidentifiedAccessKey": BASE64_STANDARD.encode([7; 16]),
    });
    let created: Value = call(
        client,
        Method::POST,
        format!("{base}/v1/registration"),
        Some((number, password)),
        Some(body),
    )
    .await?
    .error_for_status()?
    .json()
    .await?;
    let aci = created["uuid"]
        .as_str()
        .expect("an account has an id")
        .to_owned();
    Ok(Account {
        number: number.to_owned(),
        aci,
        password: password.to_owned(),
    })
}
