//! How the doors behave.

use std::collections::BTreeMap;
use std::time::Duration;

use api::config::{Platform, Version};
use events::values::Capabilities;
use serde::Deserialize;

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
            grpc: true,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
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
