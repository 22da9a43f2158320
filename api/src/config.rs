//! What an operator may choose at the doors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::verification::VerificationPolicy;
use crypto::relay::RelayKey;
use events::values::Capabilities;
use ipnet::IpNet;

pub use crate::http::version::{Platform, Version};
pub use crate::remote_config::Rollout;

/// The choices.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which contract counts where two have been published for one path.
    pub dialect: DialectSwitch,
    /// How long a mutation waits for the read models to show it. Past that it is answered anyway: the fact is stored.
    pub read_your_writes: Duration,
    /// Whether a verification session asks for a captcha before it sends a code.
    pub captcha_required: bool,
    /// How often and how fast verification codes may be asked for and tried.
    pub verification: Arc<VerificationPolicy>,
    /// The largest attachment, in bytes.
    pub attachment_bytes: u64,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Sockets that may be open at once, in all. Zero, here and below, means as many as come.
    pub sockets: usize,
    /// Sockets that may be open at once from one address.
    pub sockets_per_address: usize,
    /// Sockets that may be open at once for the devices of one account, for messages and for requests only.
    pub sockets_per_account: usize,
    /// After how long without its primary device a linked one is told of it.
    pub idle_primary: Duration,
    /// The oldest version of each official client that is served; older ones are answered 499.
    pub oldest_clients: BTreeMap<Platform, Version>,
    /// What new devices must be able to do where clients speak the deployed dialect.
    pub required_capabilities: Capabilities,
    /// How long after its registration an account keeps its number.
    pub number_waiting_period: Duration,
    /// Whether `PUT /v1/accounts/number` takes clients at their word that a number is theirs.
    pub unproved_numbers: bool,
    /// How long a sender certificate is valid.
    pub certificate_lifetime: Duration,
    /// How numbers begin (with `+`) for which no new payment addresses are taken.
    pub payments_barred: Vec<Box<str>>,
    /// Where calls are relayed.
    pub relays: Vec<Relay>,
    /// Entries for `GET /v2/config` that only a share of the accounts is sent.
    pub rollouts: Vec<Rollout>,
    /// Entries for `GET /v2/config`. Those whose names begin with a platform are for that platform only.
    pub remote: BTreeMap<String, String>,
    /// Whether gRPC is spoken, and official clients are let to use it.
    pub grpc: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dialect: DialectSwitch::ByContent,
            read_your_writes: Duration::from_millis(250),
            captcha_required: false,
            verification: Arc::default(),
            attachment_bytes: 100 * 1024 * 1024,
            trusted_proxies: Vec::new(),
            sockets: 0,
            sockets_per_address: 0,
            sockets_per_account: 32,
            idle_primary: Duration::from_hours(30 * 24),
            oldest_clients: BTreeMap::new(),
            required_capabilities: Capabilities::new(),
            number_waiting_period: Duration::ZERO,
            unproved_numbers: false,
            certificate_lifetime: Duration::from_hours(7 * 24),
            payments_barred: Vec::new(),
            relays: Vec::new(),
            rollouts: Vec::new(),
            remote: BTreeMap::new(),
            grpc: true,
        }
    }
}

/// A relay of calls (TURN).
#[derive(Clone, Debug)]
pub struct Relay {
    /// The secret that it shares with the server.
    pub key: RelayKey,
    /// How long credentials for it are good.
    pub lifetime: Duration,
    /// Where it is, by name: `turn:…`.
    pub urls: Vec<String>,
    /// Where it is, by address.
    pub urls_with_ips: Vec<String>,
    /// The name that its certificate is for, if it is reached by address.
    pub hostname: Option<String>,
}

/// Calls that official clients make through gRPC over HTTP/2 unless they are told otherwise, and whether they find what
/// they ask for there.
const GRPC_CALLS: [(&str, bool); 9] = [
    ("AccountsAnonymousLookupUsernameHash", true),
    ("AccountsAnonymousLookupUsernameLink.2", true),
    ("AccountsAnonymousCheckAccountExistence.2", true),
    ("MessagesAnonymousSendMultiRecipientMessage.2", true),
    ("MessagesAnonymousSendSingleRecipientMessage", true),
    ("AttachmentsGetUploadForm", true),
    ("MessagesSendMessage", true),
    ("BackupsAnonymousGetUploadForm", false),
    ("KeyTransparencyQueryServiceSearchV2", false),
];

impl Config {
    /// All entries for `GET /v2/config`: the operator's, and those that tell official clients which calls to make over the
    /// WebSocket in spite of HTTP/2.
    pub fn remote_entries(&self) -> BTreeMap<String, String> {
        let over_websocket = GRPC_CALLS
            .iter()
            .filter(|(_, offered)| !(self.grpc && *offered));
        let names = over_websocket.flat_map(|(call, _)| {
            let platforms = ["android", "desktop", "ios"];
            platforms.map(|platform| format!("{platform}.libsignal.grpc.{call}"))
        });
        let mut entries: BTreeMap<_, _> = names.map(|name| (name, "ws".to_owned())).collect();
        entries.extend(self.remote.clone());
        entries
    }
}

/// Whether the server tells the two dialects apart or holds on to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialectSwitch {
    /// By what a request holds and who sends it.
    #[default]
    ByContent,
    /// Every request is taken for [`Dialect::Seed`].
    Seed,
    /// Every request is taken for [`Dialect::Deployed`].
    Deployed,
}

/// The two contracts that have been published for the same paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of the OpenAPI document: few required fields, few statuses.
    Seed,
    /// That which official clients speak.
    Deployed,
}

impl DialectSwitch {
    /// The dialect of a request. `content` tells whether its body has something that only one side sends.
    pub fn settle(self, content: bool, user_agent: Option<&str>) -> Dialect {
        match self {
            Self::Deployed => Dialect::Deployed,
            Self::ByContent if content || user_agent.is_some_and(is_official) => Dialect::Deployed,
            Self::Seed | Self::ByContent => Dialect::Seed,
        }
    }
}

/// `Signal-(Android|Desktop|iOS)/<semver>[ extra]`, or what the library says of itself on a connection without it.
fn is_official(user_agent: &str) -> bool {
    let version = [
        "Signal-Android/",
        "Signal-Desktop/",
        "Signal-iOS/",
        "libsignal/",
    ]
    .iter()
    .find_map(|name| user_agent.strip_prefix(name));
    version.is_some_and(|version| {
        let version = version.split(' ').next().unwrap_or_default();
        let mut numbers = version.split(['.', '-']);
        (0..3).all(|_| numbers.next().is_some_and(|n| n.parse::<u32>().is_ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn official_agents_speak_the_deployed_dialect() {
        let settle = |agent| DialectSwitch::ByContent.settle(false, agent);
        for agent in [
            "Signal-Desktop/7.80.0 Linux",
            "Signal-iOS/7.1.2",
            "Signal-Android/7.9.1-beta",
        ] {
            assert_eq!(settle(Some(agent)), Dialect::Deployed, "{agent}");
        }
        for agent in [
            "curl/8.5.0",
            "Signal-Desktop",
            "Signal-Desktop/x",
            "MySignal-Desktop/7.80.0",
        ] {
            assert_eq!(settle(Some(agent)), Dialect::Seed, "{agent}");
        }
        assert_eq!(settle(None), Dialect::Seed);
    }

    #[test]
    fn content_decides_where_it_can_and_the_switch_always() {
        assert_eq!(
            DialectSwitch::ByContent.settle(true, None),
            Dialect::Deployed
        );
        assert_eq!(
            DialectSwitch::Seed.settle(true, Some("Signal-iOS/7.1.2")),
            Dialect::Seed
        );
        assert_eq!(
            DialectSwitch::Deployed.settle(false, None),
            Dialect::Deployed
        );
    }
}
