#![doc = include_str!("../README.md")]

mod append;
mod cluster;
mod config;
mod conflict;
mod crypto;
mod envelope;
mod error;
mod follow;
mod forwarder;
mod read;
mod sessions;
mod store;
mod tls;

pub use config::{ConnectionString, InvalidConnectionString, Options};
pub use crypto::{ProviderTaken, install_crypto_provider};
pub use error::Error;
pub use events::store::PayloadSink;
pub use store::EventStoreDb;
