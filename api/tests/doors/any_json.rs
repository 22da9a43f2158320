//! Bodies of any shape: taken, or refused in the documented way. Never a 5xx, and nothing stored.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value};

use crate::support::Door;

/// Names that bodies know, and some that none does.
const NAMES: &[&str] = &[
    "number",
    "pushToken",
    "pushTokenType",
    "captcha",
    "pushChallenge",
    "transport",
    "client",
    "code",
    "sessionId",
    "recoveryPassword",
    "accountAttributes",
    "skipDeviceTransfer",
    "aciIdentityKey",
    "pniSignedPreKey",
    "keyId",
    "publicKey",
    "signature",
    "messages",
    "type",
    "destinationDeviceId",
    "destinationRegistrationId",
    "content",
    "online",
    "urgent",
    "timestamp",
    "preKeys",
    "pqPreKeys",
    "registrationId",
    "capabilities",
    "unidentifiedAccessKey",
    "name",
    "verificationCode",
    "apnToken",
    "x",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z0-9+/=_-]{0,50}|\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let member = (proptest::sample::select(NAMES), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            proptest::collection::vec(member, 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Map<_, _>>()
                    .into()
            }),
        ]
    })
}

#[tokio::test]
async fn any_body_is_taken_or_refused() {
    let door = Door::open().await;
    let device = door.register("+12015550123").await;
    let session = door.verify("+12015550124").await;
    let session = format!("/v1/verification/session/{session}");
    let endpoints = [
        ("POST", "/v1/verification/session".to_owned()),
        ("PATCH", session.clone()),
        ("POST", format!("{session}/code")),
        ("PUT", format!("{session}/code")),
        ("POST", "/v1/registration".to_owned()),
        ("PUT", "/v1/devices/link".to_owned()),
        ("PUT", "/v2/keys".to_owned()),
        ("PUT", format!("/v1/messages/{}", device.aci)),
    ];
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    for _ in 0..60 {
        let body = any_json().new_tree(&mut runner).unwrap().current();
        for (method, path) in &endpoints {
            let reply = device.client.json(method, path, body.clone()).await;
            let known = reply.status.is_success() || reply.status.is_client_error();
            assert!(known, "{method} {path} {body}: {}", reply.status);
            if reply.status.is_client_error() {
                assert_eq!(reply.position(), None, "{method} {path} {body}");
            }
        }
    }
}
