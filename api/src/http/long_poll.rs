//! Requests that wait: answered as soon as there is something to tell, or with nothing when the time is up.

use std::time::Duration;

use async_trait::async_trait;
use events::Position;
use projections::{Model, QueryError};
use serde::{Deserialize, Deserializer};

use crate::http::problem::Problem;
use crate::limits;
use crate::state::Api;

/// The routes of requests that may wait.
pub(crate) const LONG_POLLS: [&str; 3] = [
    "/v1/devices/wait_for_linked_device/{token}",
    "/v1/devices/restore_account/{token}",
    "/v1/devices/transfer_archive",
];

/// The query of a long poll.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Timeout {
    /// In seconds: 1 to 3600; 30 if it is not said.
    #[serde(default = "thirty_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = String::deserialize(deserializer)?.parse().ok();
    seconds
        .filter(|seconds| (1..=3600).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| serde::de::Error::custom("query param timeout must be between 1 and 3600"))
}

/// What a long poll waits for.
#[async_trait]
pub(crate) trait Search: Send {
    /// What is found.
    type Found: Send;
    /// Where it is looked for.
    const MODELS: &'static [Model];

    /// Looks for it.
    async fn look(&self) -> Result<Option<Self::Found>, QueryError>;

    /// The position of the next event that makes another look worthwhile.
    async fn news(&mut self) -> Position;
}

/// Looks, and looks again whenever there is news, until something is found, the time is up, or the server stops. Between
/// two looks nothing is held but the memory of the request.
pub(crate) async fn wait<S: Search>(
    api: &Api,
    Timeout { timeout }: Timeout,
    mut search: S,
) -> Result<Option<S::Found>, Problem> {
    let searching = async {
        let mut position = api.queries.head().await?;
        loop {
            api.queries
                .caught_up(S::MODELS, position, limits::CATCH_UP)
                .await;
            if let Some(found) = search.look().await? {
                return Ok(Some(found));
            }
            position = search.news().await;
        }
    };
    let found: Result<_, QueryError> = within(api, timeout, searching).await.unwrap_or(Ok(None));
    found.map_err(|error| Problem::unavailable(&error))
}

/// Waits until the time is up or the server stops; `None` then.
pub(crate) async fn within<T>(
    api: &Api,
    timeout: Duration,
    waiting: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        found = waiting => Some(found),
        () = api.shutdown.token.cancelled() => None,
        () = tokio::time::sleep(timeout) => None,
    }
}
