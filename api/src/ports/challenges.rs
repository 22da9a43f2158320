//! Challenges that were pushed to devices and wait for their answers. They are forgotten within minutes, and no facts.

use async_trait::async_trait;
use events::{Aci, Timestamp};

/// Remembers what was pushed: one challenge for an account, the last one.
#[async_trait]
pub trait PushedChallenges: Send + Sync + 'static {
    /// The account can answer this challenge, and no earlier one, until then.
    async fn remember(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        until: Timestamp,
    ) -> Result<(), ChallengesUnavailable>;

    /// Whether this is the account's challenge and can still be answered. It is forgotten if it is: of any number of
    /// callers, on any number of nodes, one is told so.
    async fn take(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        at: Timestamp,
    ) -> Result<bool, ChallengesUnavailable>;
}

/// They could not be asked. Clients get 503.
#[derive(Debug, thiserror::Error)]
#[error("pushed challenges are unavailable")]
pub struct ChallengesUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);
