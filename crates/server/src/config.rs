//! Configuration: one struct a section, from a TOML file and the environment. Unknown keys are errors; secrets are files.
//!
//! `HELIOGRAPH_SERVER__HTTP=…` sets `server.http`; `DATABASE_URL` sets `database.url`,
//! `EVENTSTORE_URL` sets `eventstore.url`.

mod doors;
mod listeners;
mod push;
mod rates;
mod remote;
mod retention;
mod storage;
mod verification;
mod watching;

use std::path::Path;

use anyhow::Context as _;
use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use serde::Deserialize;

pub(crate) use doors::{Api, Dialect};
pub(crate) use listeners::{Limits, Server, Tls};
pub(crate) use push::Push;
pub(crate) use rates::RateSettings;
pub(crate) use remote::{Calling, Relay, Remote, Rollout};
pub(crate) use retention::Retention;
pub(crate) use storage::{Database, EventStore, Mailbox, Objects, Secrets};
pub(crate) use verification::{
    Captcha, SessionsPerNumber, Spam, Verification, VerificationTransport,
};
pub(crate) use watching::{Audit, Log};

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
    pub(crate) retention: Retention,
    #[serde(default)]
    pub(crate) push: Push,
    #[serde(default)]
    pub(crate) log: Log,
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
        self.retention.check(self.eventstore.is_some())?;
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
    use std::collections::BTreeMap;
    use std::time::Duration;

    use api::config::{Platform, Version};
    use api::limits::rates::Limit;

    use super::*;

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
    fn history_moves_late_enough_to_a_place_that_is_named() {
        let error = |lines: &str| parse(&format!("{LEAST}{lines}")).unwrap_err().to_string();
        assert!(error("retention.mailbox_days = 90\n").contains("retention.url"));
        let place = "retention.url = \"file:///var/history\"\n";
        assert!(error(&format!("{place}retention.mailbox_days = 1\n")).contains("2 at least"));
        let cluster = "eventstore.url = \"esdb://localhost\"\n";
        let refused = error(&format!("{place}{cluster}retention.mailbox_days = 90\n"));
        assert!(refused.contains("cluster"), "{refused}");
        let config = parse(&format!("{LEAST}{place}retention.mailbox_days = 90\n")).unwrap();
        let policy = config.retention.policy().unwrap();
        assert_eq!(policy.horizon, Duration::from_hours(90 * 24));
        assert!(parse(LEAST).unwrap().retention.policy().is_none());
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
