//! What clients are told to do in one way or another, by account and by platform.

use std::collections::{BTreeMap, BTreeSet};

use events::Aci;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Platform};

/// An entry that is switched on for a share of the accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The entry's name.
    pub name: String,
    /// For how many accounts in a hundred.
    pub percentage: u8,
    /// For these accounts in any case.
    pub accounts: BTreeSet<Aci>,
    /// What they are sent; `true` if that is nothing.
    pub value: Option<String>,
    /// What all others are sent; `false` if that is nothing.
    pub default: Option<String>,
    /// Decides, with an account's id, whether the account is among the share: entries with the same text have the same
    /// share. The name, if it is not said.
    pub hash_key: Option<String>,
}

impl Rollout {
    /// What an account is sent.
    pub fn value_for(&self, aci: Aci) -> String {
        let on = self.accounts.contains(&aci) || self.bucket(aci) < u64::from(self.percentage);
        let value = if on { &self.value } else { &self.default };
        value.clone().unwrap_or_else(|| on.to_string())
    }

    /// The account's place among a hundred.
    fn bucket(&self, aci: Aci) -> u64 {
        let key = self.hash_key.as_ref().unwrap_or(&self.name);
        let hash = Sha256::new()
            .chain_update(aci.as_bytes())
            .chain_update(key)
            .finalize();
        let first = *hash.first_chunk().expect("32 bytes start with 8");
        i64::from_be_bytes(first).unsigned_abs() % 100
    }
}

impl Config {
    /// The entries for an account on a platform, if that is known: those whose names begin with a platform's are for that
    /// platform only.
    pub fn entries_for(&self, aci: Aci, platform: Option<Platform>) -> BTreeMap<String, String> {
        let fixed = self.remote_entries().into_iter();
        let shared = self
            .rollouts
            .iter()
            .map(|rollout| (rollout.name.clone(), rollout.value_for(aci)));
        fixed
            .chain(shared)
            .filter(|(name, _)| is_for(name, platform))
            .collect()
    }
}

fn is_for(name: &str, platform: Option<Platform>) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    let only = first.parse::<Platform>().ok();
    only.is_none() || only == platform
}

/// The platform of an official client: `Signal-(Android|Desktop|iOS)/…`.
pub fn platform(user_agent: Option<&str>) -> Option<Platform> {
    let name = user_agent?.strip_prefix("Signal-")?;
    name.split('/').next()?.parse().ok()
}

/// A tag of entries that is the same on every node: 8 hex digits (FNV-1a).
pub fn tag(entries: &BTreeMap<String, String>) -> String {
    let lines = entries
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\n"]);
    let hash = lines.flatten().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aci(n: u8) -> Aci {
        Aci::from_random([n; 16])
    }

    #[test]
    fn a_share_of_the_accounts_is_switched_on() {
        let rollout = |percentage| Rollout {
            name: "android.calls".to_owned(),
            percentage,
            ..Rollout::default()
        };
        let on = |percentage| {
            let rollout = rollout(percentage);
            (0..=255)
                .filter(|n| rollout.value_for(aci(*n)) == "true")
                .count()
        };
        assert_eq!((on(0), on(100)), (0, 256));
        assert!((80..176).contains(&on(50)), "{}", on(50));
        let chosen = Rollout {
            accounts: [aci(1)].into(),
            value: Some("new".to_owned()),
            default: Some("old".to_owned()),
            ..rollout(0)
        };
        assert_eq!(
            (chosen.value_for(aci(1)), chosen.value_for(aci(2))),
            ("new".to_owned(), "old".to_owned())
        );
    }

    #[test]
    fn entries_of_a_platform_are_for_it_alone() {
        let named = |name: &str| (name.to_owned(), "1".to_owned());
        let config = Config {
            remote: ["ios.a", "android.a", "global.a", "iossy.a"]
                .map(named)
                .into(),
            ..Config::default()
        };
        let sent = |platform| {
            let entries = config.entries_for(aci(1), platform);
            let ours = |name: &String| name.split('.').next_back() == Some("a");
            entries.into_keys().filter(ours).collect::<Vec<_>>()
        };
        assert_eq!(sent(Some(Platform::Ios)), ["global.a", "ios.a", "iossy.a"]);
        assert_eq!(sent(None), ["global.a", "iossy.a"]);
    }

    #[test]
    fn the_tag_follows_from_the_entries() {
        let entries = |value: &str| BTreeMap::from([("a".to_owned(), value.to_owned())]);
        assert_eq!(tag(&entries("1")), tag(&entries("1")));
        assert_ne!(tag(&entries("1")), tag(&entries("2")));
        assert_eq!(tag(&BTreeMap::new()), "811c9dc5");
    }
}
