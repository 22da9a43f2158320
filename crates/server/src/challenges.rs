//! The port for pushed challenges, on Postgres.

use api::ports::{ChallengesUnavailable, PushedChallenges};
use async_trait::async_trait;
use events::{Aci, Timestamp};
use store_postgres::PgPushedChallenges;

/// What Postgres remembers, as the doors see it.
pub(crate) struct Pushed(pub(crate) PgPushedChallenges);

#[async_trait]
impl PushedChallenges for Pushed {
    async fn remember(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        until: Timestamp,
    ) -> Result<(), ChallengesUnavailable> {
        let remembered = self.0.remember(aci, challenge, until).await;
        remembered.map_err(|error| ChallengesUnavailable(Box::new(error)))
    }

    async fn take(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        at: Timestamp,
    ) -> Result<bool, ChallengesUnavailable> {
        let taken = self.0.take(aci, challenge, at).await;
        taken.map_err(|error| ChallengesUnavailable(Box::new(error)))
    }
}
