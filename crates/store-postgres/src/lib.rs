#![doc = include_str!("../README.md")]

mod appender;
mod challenges;
pub mod embedded;
mod follow;
mod keys;
mod migrations;
mod options;
mod payloads;
mod read;
mod rows;
mod scan;
mod store;
mod types;
mod wake;

pub use challenges::PgPushedChallenges;
pub use keys::PgSubjectKeys;
pub use migrations::MIGRATOR;
pub use options::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS, Options};
pub use payloads::PgPayloadStore;
pub use store::PgEventStore;
pub use types::StartError;

/// Any error as the cause inside one of the port's errors.
fn cause(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}
