//! What clients are told: how they are to behave, and where calls are relayed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

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
