//! Where everything is kept, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

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
