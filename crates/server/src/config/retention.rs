//! How long history stays in the database.

use std::time::Duration;

use replay::retention::Policy;
use serde::Deserialize;

/// The shortest horizon: clients may repeat a request for a day, and the log has to know it again.
const LEAST_DAYS: u32 = 2;

/// When old history of mailboxes moves, and where to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// After how many days events of mailboxes move to the archive. 0: never.
    pub(crate) mailbox_days: u32,
    /// Where the archive is: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    /// Credentials come from the providers' usual environment variables.
    pub(crate) url: Option<String>,
}

impl Retention {
    /// What is to move, if anything is.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let place = self.url.clone().filter(|_| self.mailbox_days > 0)?;
        Some(Policy {
            place,
            horizon: Duration::from_hours(24) * self.mailbox_days,
        })
    }

    pub(super) fn check(&self, on_cluster: bool) -> anyhow::Result<()> {
        if self.mailbox_days == 0 {
            return Ok(());
        }
        anyhow::ensure!(
            self.mailbox_days >= LEAST_DAYS,
            "retention.mailbox_days: {LEAST_DAYS} at least, as clients may repeat a request for a day"
        );
        anyhow::ensure!(
            self.url.is_some(),
            "retention.mailbox_days is set, so retention.url is needed"
        );
        anyhow::ensure!(
            !on_cluster,
            "retention.mailbox_days is set, and the log is on a cluster, which cannot give events to an archive and read \
             them back: take the setting away, and its history stays on the cluster"
        );
        Ok(())
    }
}
