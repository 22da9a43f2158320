//! Where the cluster is, and the bounds of a call.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use eventstore::ClientSettings;

/// The address of a cluster: `esdb://user:password@host:2113?tls=false`, several hosts with commas between them, or
/// `esdb+discover://…` for a DNS name of all nodes. The options are the client's; see `docs/eventstore.md`.
///
/// It may hold a password, so it shows itself to nobody.
#[derive(Clone)]
pub struct ConnectionString {
    text: String,
    settings: ClientSettings,
}

/// What stands in front of the text is not repeated here: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnectionString {
    /// Not of the form.
    #[error("not of the form esdb://[user:password@]host[:port][,host[:port]…][?option=value&…]")]
    Form,
    /// Another node than the leader may not know yet what was just appended.
    #[error(
        "nodePreference must be leader, or absent: only the leader has read what was just written"
    )]
    NotLeader,
    /// The client connects through a loopback port; with a certificate, every process here could use that port.
    #[error("userCertFile and userKeyFile are not supported; use a user and a password")]
    UserCertificate,
}

impl ConnectionString {
    /// The settings, with the leader as the node to talk to.
    pub(crate) const fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// What the client is given instead: the same user, at a loopback port whose far end is a node of the cluster.
    pub(crate) fn local(&self, port: u16, deadline: Duration) -> ClientSettings {
        let user = self
            .user()
            .map_or_else(String::new, |user| format!("{user}@"));
        let millis = deadline.as_millis();
        let mut text = format!(
            "esdb://{user}127.0.0.1:{port}?tls=false&nodePreference=leader&maxDiscoverAttempts=2\
             &discoveryInterval=0&gossipTimeout={millis}&defaultDeadline={millis}"
        );
        for (name, value) in self.parameters() {
            // The client reads certificates even without TLS; it shall not need the system's if it was given others.
            if name.eq_ignore_ascii_case("connectionName") || name.eq_ignore_ascii_case("tlsCaFile")
            {
                text.extend(["&", name, "=", value]);
            }
        }
        text.parse().expect("made of parts that were parsed before")
    }

    fn user(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        authority.rsplit_once('@').map(|(user, _)| user)
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        parameters(&self.text)
    }
}

fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = text.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='))
}

impl FromStr for ConnectionString {
    type Err = InvalidConnectionString;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionString> {
        let preference =
            parameters(text).find(|(name, _)| name.eq_ignore_ascii_case("nodePreference"));
        let text = match preference {
            Some((_, value)) if value.eq_ignore_ascii_case("leader") => text.to_owned(),
            Some(_) => return Err(InvalidConnectionString::NotLeader),
            None if text.contains('?') => format!("{text}&nodePreference=leader"),
            None => format!("{text}?nodePreference=leader"),
        };
        // The client's own message may repeat the whole string.
        let settings: ClientSettings = text.parse().map_err(|_| InvalidConnectionString::Form)?;
        if settings.user_certificate().is_some() {
            return Err(InvalidConnectionString::UserCertificate);
        }
        Ok(Self { text, settings })
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({:?})", self.settings.hosts())
    }
}

/// How to reach the cluster, and the bounds of a call.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cluster is.
    pub url: ConnectionString,
    /// How long a connection, an append to one stream, or one step of a read may take.
    pub deadline: Duration,
    /// The most bytes of data and metadata that one stream takes at once. The server's own bound is 1 MiB by default
    /// (`MaxAppendSize`), and this must not be more.
    pub max_append: usize,
    /// How long a follower waits before it connects again, the first time; then twice as long each time.
    pub first_pause: Duration,
    /// How long it waits at the most.
    pub longest_pause: Duration,
}

impl Options {
    /// The usual bounds.
    pub const fn new(url: ConnectionString) -> Self {
        Self {
            url,
            deadline: Duration::from_secs(5),
            max_append: 1 << 20,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_does_not_show_its_password() {
        let url: ConnectionString = "esdb://admin:changeit@db.example:2114".parse().unwrap();
        assert!(!format!("{:?}", Options::new(url)).contains("changeit"));
        let wrong = "esdb://admin:changeit@:x"
            .parse::<ConnectionString>()
            .unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("changeit"));
    }

    #[test]
    fn only_the_leader_is_talked_to() {
        let parse = |text: &str| text.parse::<ConnectionString>();
        let refused = parse("esdb://host?tls=false&nodePreference=follower").unwrap_err();
        assert_eq!(refused, InvalidConnectionString::NotLeader);
        for text in [
            "esdb://a,b,c",
            "esdb://a:1?tls=false",
            "esdb://a?NodePreference=Leader",
        ] {
            let preference = parse(text).unwrap().settings().node_preference();
            assert_eq!(preference, eventstore::NodePreference::Leader, "{text}");
        }
    }

    #[test]
    fn user_certificates_are_refused() {
        let text = "esdb://host?userCertFile=/a.crt&userKeyFile=/a.key";
        let refused = text.parse::<ConnectionString>().unwrap_err();
        assert_eq!(refused, InvalidConnectionString::UserCertificate);
    }

    #[test]
    fn the_client_gets_the_same_user_at_the_local_port() {
        let url: ConnectionString = "esdb://us%40er:pa:ss@a:1,b:2?connectionName=node-7"
            .parse()
            .unwrap();
        let local = url.local(4321, Duration::from_secs(1));
        assert_eq!(
            local.default_authenticated_user(),
            url.settings().default_authenticated_user()
        );
        assert_eq!(local.hosts().len(), 1);
        assert_eq!(
            (local.hosts()[0].host.as_str(), local.hosts()[0].port),
            ("127.0.0.1", 4321)
        );
        assert!(!local.is_secure_mode_enabled());
    }
}
