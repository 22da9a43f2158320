//! Memory of what callers were answered, for those who ask again.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::Timestamp;

/// How long an answer is remembered. A key that comes back later is a new one.
pub const LIFETIME: Duration = Duration::from_hours(24);

/// A keyed digest of a caller and the key that they chose.
pub type OutcomeId = [u8; 32];

/// A digest of everything in a request that decides what it does.
pub type Fingerprint = [u8; 32];

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// When it came for the first time.
    pub at: Timestamp,
    /// What it was then.
    pub fingerprint: Fingerprint,
    /// What it was answered, sealed. `None` if it was not: it is being worked on, or what worked on it came to an end.
    pub answer: Option<Bytes>,
}

/// Remembers outcomes for [`LIFETIME`], for all nodes, through crashes.
#[async_trait]
pub trait Outcomes: Send + Sync + 'static {
    /// Notes that a request has come, if nothing is known of its id. Answers what stands there.
    async fn begin(
        &self,
        id: OutcomeId,
        fingerprint: Fingerprint,
        at: Timestamp,
    ) -> Result<Begun, OutcomesUnavailable>;

    /// Notes what a request was answered, if nothing is noted. Answers what stands there.
    async fn settle(&self, id: OutcomeId, answer: Bytes) -> Result<Bytes, OutcomesUnavailable>;
}

/// The memory cannot be reached. Clients get 503.
#[derive(Debug, thiserror::Error)]
#[error("outcomes cannot be remembered")]
pub struct OutcomesUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);
