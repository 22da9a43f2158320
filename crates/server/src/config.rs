//! Configuration: one struct a section, from a TOML file and the environment. Unknown keys are errors; secrets are files.
//!
//! `HELIOGRAPH_SERVER__HTTP=…` sets `server.http`; `DATABASE_URL` sets `database.url`,
//! `EVENTSTORE_URL` sets `eventstore.url`.

mod push;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use api::config::{Platform, Version};
use api::limits::rates::{Rate, Rates};
use events::values::Capabilities;
use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

use crate::telemetry::LogFormat;
pub(crate) use push::Push;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) server: Server,
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) eventstore: Option<EventStore>,
    pub(crate) secrets: Secrets,
    #[serde(default)]
    pub(crate) verification: Verification,
    #[serde(default)]
    pub(crate) spam: Spam,
    #[serde(default)]
    pub(crate) api: Api,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) rates: RateSettings,
    #[serde(default)]
    pub(crate) objects: Objects,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) calling: Calling,
    #[serde(default)]
    pub(crate) remote: Remote,
    #[serde(default)]
    pub(crate) mailbox: Mailbox,
    #[serde(default)]
    pub(crate) push: Push,
    #[serde(default)]
    pub(crate) log: Log,
}

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

/// The EventStoreDB or KurrentDB cluster that holds the log, if Postgres is not to hold it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventStore {
    /// `esdb://…`; better given as `EVENTSTORE_URL`, since it holds a password.
    pub(crate) url: SecretString,
}

/// The Postgres that holds payloads, keys and read models, and the log unless `[eventstore]` says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://…`; better given as `DATABASE_URL`, since it holds a password.
    pub(crate) url: SecretString,
    /// Connections for queries; appending and projecting have their own.
    #[serde(default = "default_connections")]
    pub(crate) connections: u32,
}

const fn default_connections() -> u32 {
    16
}

/// Where the server's secret keys are: a file that `heliograph keygen` wrote.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    pub(crate) file: PathBuf,
}

/// How phone numbers are verified.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Verification {
    /// Who sends codes.
    pub(crate) transport: VerificationTransport,
    /// With `transport = "webhook"`: where to POST `{number, code, transport, language}`.
    pub(crate) webhook_url: Option<String>,
    /// With `transport = "webhook"`: a file whose contents go into `Authorization: Bearer …`.
    pub(crate) webhook_token_file: Option<PathBuf>,
    /// A code that is right for every number. For development and tests only.
    pub(crate) fixed_code: Option<String>,
    /// Whether a captcha is asked for before a code is sent.
    pub(crate) captcha: Captcha,
    /// How many sessions one number may ask for.
    pub(crate) sessions_per_number: SessionsPerNumber,
}

/// How many verification sessions one number may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionsPerNumber {
    /// Five, and then one every 288 minutes; a minute apart at least.
    #[default]
    Limited,
    /// As many as it likes. For development and tests.
    Any,
}

/// Who sends verification codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VerificationTransport {
    /// Nobody: codes appear in the log. For development only.
    #[default]
    Log,
    /// A service of the operator's.
    Webhook,
}

/// Whether captchas are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Captcha {
    /// None is asked for; a well-formed one is taken if it comes.
    #[default]
    Off,
    /// One is asked for, and any well-formed one is taken. For tests of clients.
    Any,
}

/// When senders have to show that a person is behind them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spam {
    /// To how many recipients an account may write within an hour, by the count of each node, before it is asked to solve a
    /// captcha or answer a push. 0: to any number.
    pub(crate) recipients_per_hour: usize,
}

/// What waits for devices.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mailbox {
    /// After how many days a message that nobody fetched expires.
    pub(crate) retention_days: u32,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { retention_days: 30 }
    }
}

impl Mailbox {
    pub(crate) fn retention(self) -> Duration {
        Duration::from_hours(24) * self.retention_days
    }
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

/// The oldest version of each official client that is served.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub(crate) struct OldestClients(pub(crate) BTreeMap<Platform, Version>);

impl TryFrom<BTreeMap<String, String>> for OldestClients {
    type Error = String;

    fn try_from(named: BTreeMap<String, String>) -> Result<Self, String> {
        let read = |(name, version): (&String, &String)| {
            let platform = name.parse().map_err(|error| format!("{name:?}: {error}"))?;
            let version = version
                .parse()
                .map_err(|error| format!("{version:?}: {error}"))?;
            Ok((platform, version))
        };
        named.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// How the doors behave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Api {
    /// Which contract decides where the published and the deployed one differ.
    pub(crate) dialect: Dialect,
    /// How long a mutation waits, at the most, for the read models to show it (ms).
    pub(crate) read_your_writes_ms: u64,
    /// Whether gRPC is spoken on the same ports. Without it official clients are told to use the WebSocket for all calls.
    /// Off by default: how often a caller may call is limited for REST and the WebSocket only.
    pub(crate) grpc: bool,
    /// What new devices must be able to do where clients speak the deployed dialect: names as on the wire.
    pub(crate) required_capabilities: Capabilities,
    /// How long after its registration an account keeps its number (s).
    pub(crate) number_waiting_period_s: u64,
    /// Whether `PUT /v1/accounts/number` takes clients at their word that a number is theirs.
    pub(crate) unproved_numbers: bool,
    /// `{ android = "7.0.0" }`: older official clients are told that they are too old.
    pub(crate) oldest_clients: OldestClients,
    /// How long a sender certificate is valid (days).
    pub(crate) certificate_days: u32,
    /// `["+850"]`: how numbers begin for which no new payment addresses are taken.
    pub(crate) payments_barred: Vec<Box<str>>,
}

impl Api {
    pub(crate) const fn read_your_writes(&self) -> Duration {
        Duration::from_millis(self.read_your_writes_ms)
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            read_your_writes_ms: 250,
            grpc: false,
            required_capabilities: Capabilities::new(),
            number_waiting_period_s: 0,
            unproved_numbers: false,
            oldest_clients: OldestClients::default(),
            certificate_days: 7,
            payments_barred: Vec::new(),
        }
    }
}

/// Which contract decides where two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// The request shows which one it follows.
    #[default]
    Auto,
    /// Always the published OpenAPI document.
    Seed,
    /// Always what deployed clients expect.
    Deployed,
}

/// Where attachments, avatars, stickers and archives are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Objects {
    /// `file:///folder`, `s3://bucket`, `gs://bucket`, `az://container` or `memory:///`; the folder `objects` if it is not
    /// said. Credentials come from the providers' usual environment variables.
    pub(crate) url: Option<String>,
    /// Whether clients use the bucket themselves, by signed addresses. Otherwise everything goes through this server.
    pub(crate) direct: bool,
    /// How clients reach this server, for the addresses in forms; `server.http` if it is not said.
    pub(crate) public_url: Option<String>,
    /// The largest attachment, in bytes.
    pub(crate) attachment_bytes: u64,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            url: None,
            direct: false,
            public_url: None,
            attachment_bytes: api::Config::default().attachment_bytes,
        }
    }
}

/// How often what may be called, where it is not to be what the table of limits says.
///
/// `rates.messages = { size = 60, seconds = 1.0 }`: up to 60 at once, and one more each second. `rates.off = true`: no limits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, RateSetting>")]
pub(crate) struct RateSettings(Rates);

/// The value of a key of `[rates]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum RateSetting {
    Off(bool),
    Rate { size: u64, seconds: f64 },
}

impl RateSettings {
    /// No limits.
    pub(crate) const fn off() -> Self {
        Self(Rates::off())
    }
}

impl From<RateSettings> for Rates {
    fn from(RateSettings(rates): RateSettings) -> Self {
        rates
    }
}

impl TryFrom<BTreeMap<String, RateSetting>> for RateSettings {
    type Error = String;

    fn try_from(settings: BTreeMap<String, RateSetting>) -> Result<Self, String> {
        let mut rates = Rates::default();
        for (name, setting) in settings {
            match setting {
                RateSetting::Off(off) if name == "off" => {
                    if off {
                        return Ok(Self::off());
                    }
                }
                RateSetting::Off(_) => return Err(format!("`{name}` needs a size and seconds")),
                RateSetting::Rate { size, seconds } => {
                    let period = Duration::try_from_secs_f64(seconds)
                        .map_err(|error| format!("`{name}`: {error}"))?;
                    rates
                        .set(&name, Rate { size, period })
                        .map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(Self(rates))
    }
}

/// What auditors and outside systems get.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// Between two signed heads of the log, if anything has happened (s).
    pub(crate) heads_every_s: u64,
    /// A file with the bearer token that opens `/v1/admin/events` on the admin listener. Empty: nobody may follow.
    pub(crate) events_token_file: Option<PathBuf>,
}

impl Audit {
    pub(crate) fn heads_every(&self) -> Duration {
        Duration::from_secs(self.heads_every_s.max(1))
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            heads_every_s: 60,
            events_token_file: None,
        }
    }
}

/// Calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Calling {
    /// Where they are relayed.
    pub(crate) relays: Vec<Relay>,
}

/// A relay of calls (TURN) that shares a secret with this server: `use-auth-secret` in coturn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {
    /// A file with the secret.
    pub(crate) secret_file: PathBuf,
    /// Where it is, by name: `turn:relay.example:3478`.
    pub(crate) urls: Vec<String>,
    /// Where it is, by address.
    #[serde(default)]
    pub(crate) urls_with_ips: Vec<String>,
    /// The name that its certificate is for, if it is reached by address.
    #[serde(default)]
    pub(crate) hostname: Option<String>,
    /// How long credentials are good.
    #[serde(default = "one_day")]
    pub(crate) credential_seconds: u64,
}

const fn one_day() -> u64 {
    86_400
}

/// What clients are told to do in one way or another.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Remote {
    /// Entries for everybody. Their names get `global.` in front.
    pub(crate) global: BTreeMap<String, String>,
    /// Entries for a share of the accounts.
    pub(crate) rollouts: Vec<Rollout>,
}

/// An entry for a share of the accounts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollout {
    /// Its name. If that begins with `android.`, `desktop.` or `ios.`, it is for that platform only.
    pub(crate) name: String,
    /// For how many accounts in a hundred.
    #[serde(default)]
    pub(crate) percentage: u8,
    /// For these accounts in any case.
    #[serde(default)]
    pub(crate) accounts: Vec<events::Aci>,
    /// What they are sent; `true` if it is not said.
    #[serde(default)]
    pub(crate) value: Option<String>,
    /// What all others are sent; `false` if it is not said.
    #[serde(default)]
    pub(crate) default: Option<String>,
    /// Entries with the same text have the same share; the name if it is not said.
    #[serde(default)]
    pub(crate) hash_key: Option<String>,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
}

impl Config {
    /// Reads the file, then the environment, and checks what they say together.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        let environment = Env::prefixed("HELIOGRAPH_").split("__");
        let url = |name: &'static str, key: &'static str| {
            Env::raw().only(&[name]).map(move |_| key.into())
        };
        let config: Self = figment
            .merge(environment)
            .merge(url("DATABASE_URL", "database.url"))
            .merge(url("EVENTSTORE_URL", "eventstore.url"))
            .extract()
            .context("the configuration is not complete; see `heliograph serve --help`")?;
        config.check()?;
        Ok(config)
    }

    /// What no single key can tell.
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.server.https.is_none() || self.tls.is_some(),
            "server.https is set, so tls.certificate and tls.key are needed"
        );
        anyhow::ensure!(
            self.server.http.is_some() || self.server.https.is_some(),
            "set server.http or server.https: without one nobody can connect"
        );
        anyhow::ensure!(
            self.verification.transport != VerificationTransport::Webhook
                || self.verification.webhook_url.is_some(),
            "verification.transport is \"webhook\", so verification.webhook_url is needed"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::limits::rates::Limit;

    fn parse(text: &str) -> anyhow::Result<Config> {
        let config: Config = Figment::from(Toml::string(text)).extract()?;
        config.check()?;
        Ok(config)
    }

    const LEAST: &str =
        "database.url = \"postgres://localhost\"\nsecrets.file = \"secrets.toml\"\n";

    #[test]
    fn the_least_configuration_has_sane_defaults() {
        let config = parse(LEAST).unwrap();
        assert_eq!(config.server.http.unwrap().port(), 8080);
        assert_eq!(config.api.read_your_writes(), Duration::from_millis(250));
        assert_eq!(config.verification.captcha, Captcha::Off);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse(&format!("{LEAST}api.dialekt = \"seed\"\n")).unwrap_err();
        assert!(error.to_string().contains("dialekt"), "{error}");
    }

    #[test]
    fn old_clients_are_named_by_platform_and_version() {
        let config = parse(&format!(
            "{LEAST}api.oldest_clients = {{ ios = \"7.1.0\" }}\n"
        ))
        .unwrap();
        assert_eq!(
            config.api.oldest_clients.0,
            BTreeMap::from([(Platform::Ios, Version(7, 1, 0))])
        );
        for wrong in ["{ ios = \"7\" }", "{ watch = \"7.1.0\" }"] {
            assert!(parse(&format!("{LEAST}api.oldest_clients = {wrong}\n")).is_err());
        }
    }

    #[test]
    fn a_rate_is_set_by_the_name_of_its_limit() {
        let rates = |line: &str| parse(&format!("{LEAST}{line}")).map(|config| config.rates.0);
        let set = rates("rates.pin = { size = 3, seconds = 0.5 }").unwrap();
        let rate = set.of(Limit::Pin).unwrap();
        assert_eq!((rate.size, rate.period), (3, Duration::from_millis(500)));
        assert_eq!(
            set.of(Limit::Messages),
            Some(Limit::Messages.default_rate())
        );
        assert_eq!(rates("rates.off = true").unwrap().of(Limit::Pin), None);
        for wrong in [
            "rates.pins = { size = 3, seconds = 1.0 }",
            "rates.pin = { size = 0, seconds = 1.0 }",
            "rates.pin = { size = 1, seconds = -1.0 }",
            "rates.pin = true",
        ] {
            assert!(rates(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn https_needs_a_certificate() {
        let error = parse(&format!("{LEAST}server.https = \"127.0.0.1:8443\"\n")).unwrap_err();
        assert!(error.to_string().contains("tls.certificate"), "{error}");
    }

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        let text = "database.url = \"postgres://u:hunter2@localhost\"\nsecrets.file = \"s\"\n\
                    eventstore.url = \"esdb://u:hunter2@localhost\"\n";
        assert!(!format!("{:?}", parse(text).unwrap()).contains("hunter2"));
    }
}
