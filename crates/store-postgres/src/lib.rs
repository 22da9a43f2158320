#![doc = include_str!("../README.md")]

mod appender;
pub mod embedded;
mod follow;
mod keys;
mod options;
mod payloads;
mod read;
mod rows;
mod store;
mod types;
mod wake;

pub use keys::PgSubjectKeys;
pub use options::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS, Options};
pub use payloads::PgPayloadStore;
pub use store::PgEventStore;
pub use types::StartError;

/// Everything that Heliograph keeps in Postgres: the log, the payloads, the subject keys, the read models.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Any error as the cause inside one of the port's errors.
fn cause(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}
