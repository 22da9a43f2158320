use std::time::Duration;

use crypto::external::{Credentials, ExternalService, TokenVerdict};
use events::Timestamp;

use crate::support::{Part, of_kind};

const FILE: &str = "server_tokens.json";

fn service(vector: &Part) -> ExternalService {
    let key = vector.array("key");
    let derivation = || vector.array("user_derivation_key");
    match vector
        .get("service")
        .map_or("svr2".to_owned(), |name| {
            name.0.as_str().unwrap().to_owned()
        })
        .as_str()
    {
        "storage" | "payments" => ExternalService::plain(key),
        "directory" => ExternalService::directory(key, derivation()),
        "svr2" | "svrb" => ExternalService::recovery(key, derivation()),
        other => panic!("unknown service {other}"),
    }
}

#[test]
fn credentials_are_those_of_the_reference_server() {
    for vector in of_kind(FILE, "external-credentials") {
        let (service, issued) = (service(&vector), vector.number("timestamp"));
        let (username, password) = (vector.text("username"), vector.text("password"));
        let verdict = service.verify(username, password);
        assert_eq!(verdict.is_ok(), vector.is_valid(), "{}", vector.id());
        if vector.is_valid() {
            assert_eq!(verdict, Ok(issued), "{}", vector.id());
            let now = Timestamp::from_epoch_millis(issued * 1000 + 999).unwrap();
            let expected = Credentials {
                username: username.into(),
                password: password.into(),
            };
            assert_eq!(
                service.issue_to(vector.text("identity"), now),
                expected,
                "{}",
                vector.id()
            );
        }
    }
}

/// The published answer is for another number of bytes than any service uses; shorter names are prefixes of it.
#[test]
fn user_names_are_derived_as_by_the_reference_server() {
    for vector in of_kind(FILE, "derived-username") {
        let service = ExternalService::recovery([0; 32], vector.array("user_derivation_key"));
        assert!(
            service
                .username(vector.text("identity"))
                .starts_with(vector.text("username")),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn recovery_tokens_are_judged_as_by_the_reference_server() {
    for vector in of_kind(FILE, "svr2-auth-check") {
        let tokens = vector.list("tokens");
        let now = Timestamp::from_epoch_millis(vector.number("now") * 1000).unwrap();
        let max_age = Duration::from_secs(vector.number("max_age_seconds"));
        let account = vector.text("account_of_number").parse().ok();
        let texts = tokens.iter().map(|token| token.text("token"));
        let verdicts = service(&vector).check_tokens(texts, account, now, max_age);
        for (verdict, token) in verdicts.iter().zip(&tokens) {
            let expected = match token.text("result") {
                "MATCH" => TokenVerdict::Match,
                "NO_MATCH" => TokenVerdict::NoMatch,
                _ => TokenVerdict::Invalid,
            };
            assert_eq!(*verdict, expected, "{}", token.text("token"));
        }
        assert_eq!(verdicts.len(), tokens.len());
    }
}
