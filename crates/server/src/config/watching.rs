//! What those who watch the server get.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::telemetry::LogFormat;

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

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
}
