//! The client's claim to the process-wide TLS provider.
//!
//! The `eventstore` crate installs rustls' process-wide default (aws-lc) from the background task of its first client,
//! and panics there if anybody has installed one before; every call then answers "connection closed", for ever. So its
//! first client is made here, on purpose and at a known time.

use std::sync::OnceLock;

use eventstore::{Client, ClientSettings};
use rustls::crypto::CryptoProvider;

/// Somebody else was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a TLS provider was installed for this process before the EventStoreDB client could install its own, which it \
     insists on: call store_eventstore::install_crypto_provider() first thing in main()"
)]
pub struct ProviderTaken;

/// Makes aws-lc the process-wide TLS provider, by way of the client that would refuse to work otherwise.
///
/// Call it first thing in `main`, before anything else uses rustls' default; whoever calls `install_default` later must
/// accept that aws-lc is there. Calling it again does nothing. [`crate::EventStoreDb::connect`] calls it as well, which
/// is early enough where nobody else installs a provider.
pub fn install_crypto_provider() -> Result<(), ProviderTaken> {
    static INSTALLED: OnceLock<Result<(), ProviderTaken>> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        if CryptoProvider::get_default().is_some() {
            return Err(ProviderTaken);
        }
        // A thread of its own, since this one may belong to a runtime already.
        std::thread::scope(|scope| drop(scope.spawn(make_first_client).join()));
        CryptoProvider::get_default().map(drop).ok_or(ProviderTaken)
    })
}

/// Makes a client that connects to nowhere: with a single attempt it gives up before the network.
fn make_first_client() {
    let settings: ClientSettings = "esdb://127.0.0.1:1?tls=false&maxDiscoverAttempts=1"
        .parse()
        .expect("a valid connection string");
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async {
        if let Ok(client) = Client::new(settings) {
            // Its task has made its connector, and with it installed the provider, before it answers.
            drop(client.server_info().await);
        }
    });
}
