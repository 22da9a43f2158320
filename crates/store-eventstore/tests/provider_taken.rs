//! In a process of its own: somebody else installs a TLS provider first.

mod support;

use store_eventstore::{Error, ProviderTaken, install_crypto_provider};

#[tokio::test]
async fn a_provider_that_was_there_before_is_an_error_that_says_what_to_do() {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .unwrap();
    let (double, _) = support::double().await;
    let error = support::connect(&double.url()).await.err().unwrap();
    assert!(
        matches!(error, Error::ProviderTaken(ProviderTaken)),
        "{error:?}"
    );
    assert!(error.to_string().contains("install_crypto_provider"));
    assert_eq!(install_crypto_provider(), Err(ProviderTaken));
}
