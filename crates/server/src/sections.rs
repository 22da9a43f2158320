//! `Options` of the doors that come from sections of the configuration.

use std::time::Duration;

use anyhow::Context as _;
use api::config::{Relay, Rollout};
use crypto::relay::RelayKey;

use crate::config;

/// The relays of calls, with their secrets read.
pub(crate) fn relays(calling: &config::Calling) -> anyhow::Result<Vec<Relay>> {
    calling.relays.iter().map(relay).collect()
}

fn relay(relay: &config::Relay) -> anyhow::Result<Relay> {
    let file = &relay.secret_file;
    let secret = std::fs::read_to_string(file)
        .with_context(|| format!("calling.relays: cannot read {}", file.display()))?;
    let secret = secret.trim();
    anyhow::ensure!(
        !secret.is_empty(),
        "calling.relays: {} is empty",
        file.display()
    );
    Ok(Relay {
        key: RelayKey::new(secret.to_owned()),
        lifetime: Duration::from_secs(relay.credential_seconds),
        urls: relay.urls.clone(),
        urls_with_ips: relay.urls_with_ips.clone(),
        hostname: relay.hostname.clone(),
    })
}

/// The entries that only a share of the accounts is sent.
pub(crate) fn rollouts(remote: &config::Remote) -> Vec<Rollout> {
    let rollout = |entry: &config::Rollout| Rollout {
        name: entry.name.clone(),
        percentage: entry.percentage.min(100),
        accounts: entry.accounts.iter().copied().collect(),
        value: entry.value.clone(),
        default: entry.default.clone(),
        hash_key: entry.hash_key.clone(),
    };
    remote.rollouts.iter().map(rollout).collect()
}
