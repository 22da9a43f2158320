//! What every command stands on.

use std::sync::Arc;

use events::EventStore;
use events::personal::SubjectKeys;
use events::ports::{Clock, Entropy};
use sqlx::PgPool;
use subscription::Reader;
use tokio_util::sync::CancellationToken;

/// What every command stands on. Whether a server runs on the same database does not matter.
#[derive(Clone)]
pub struct Environment {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The keys to personal values.
    pub keys: Arc<dyn SubjectKeys>,
    /// Where the read models are.
    pub database: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of events.
    pub entropy: Arc<dyn Entropy>,
    /// Who gives the command; the log will say so.
    pub operator: Box<str>,
    /// Ends what is under way, without residue.
    pub shutdown: CancellationToken,
}

/// So many keys are kept at the most while the log is read.
const KEYS: usize = 500_000;

impl Environment {
    /// Reads the log in clear.
    pub(crate) fn reader(&self) -> Reader {
        Reader::keeping(KEYS, Arc::clone(&self.store), Arc::clone(&self.keys))
    }
}
