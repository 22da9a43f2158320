//! In a process of its own: the client's TLS provider is installed first, as `main` should do it.

mod support;

use events::{EventStore as _, Expected};
use store_eventstore::install_crypto_provider;

#[test]
fn installed_first_it_serves_everybody() {
    install_crypto_provider().unwrap();
    install_crypto_provider().unwrap();
    assert!(
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .is_err()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (double, _) = support::double().await;
        let store = support::connect(&double.url()).await.unwrap();
        store
            .append(support::one(1, Expected::NoStream, &[1]))
            .await
            .unwrap();
    });
}
