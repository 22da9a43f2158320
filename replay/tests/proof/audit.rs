use events::keys::PreKeyKind;
use events::number::{NumberClaimed, NumberReleased};
use events::personal::{Subject, SubjectKeys as _};
use events::verification::{CodeSent, Transport, VerificationEvent};
use events::{DeviceId, Generation, ServiceId, StreamId};
use replay::audit::{history, json, print};
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::support::World;

fn sent() -> VerificationEvent {
    CodeSent {
        transport: Transport::Sms,
        code: None,
    }
    .into()
}

/// Account 1 comes, gets a key and a message, and goes; account 2 does the same in between.
fn lives() -> History {
    let mut it = History::default();
    for n in [1, 2] {
        let session = StreamId::verification(samples::session(n));
        it.then(session.clone(), samples::started(n));
        it.then(session, sent());
        it.then(
            StreamId::number(samples::pni(n)),
            events::number::NumberEvent::from(NumberClaimed::by(samples::aci(n))),
        );
        it.then(
            StreamId::account(samples::aci(n)),
            samples::registered(n, 1),
        );
        let identity = ServiceId::from(samples::pni(n));
        it.then(
            StreamId::keys(identity, DeviceId::PRIMARY, Generation(1)),
            samples::uploaded(PreKeyKind::Ec, n, 3),
        );
        it.message(Address(n, 1, 1), n, b"the ciphertext");
    }
    it.then(StreamId::account(samples::aci(1)), samples::deleted(1));
    it.then(
        StreamId::number(samples::pni(1)),
        events::number::NumberEvent::from(NumberReleased {
            aci: samples::aci(1),
        }),
    );
    it.then(
        StreamId::number(samples::pni(1)),
        events::number::NumberEvent::from(NumberClaimed::by(samples::aci(3))),
    );
    it
}

#[tokio::test]
async fn an_audit_shows_all_streams_of_an_account_in_order_and_nobody_elses() {
    let world = World::new().await;
    world.append(&lives()).await;
    let entries = history(&world.environment, samples::aci(1)).await.unwrap();
    let events: Vec<_> = entries.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(
        events,
        [
            "SessionStarted",
            "CodeSent",
            "NumberClaimed",
            "AccountRegistered",
            "PreKeysUploaded",
            "MessageQueued",
            "AccountDeleted",
            "NumberReleased"
        ]
    );
    let mut out = Vec::new();
    print(samples::aci(1), &entries, &mut out).unwrap();
    let table = String::from_utf8(out).unwrap();
    assert!(table.contains("number=+14155550101"), "{table}");
    assert!(table.contains("2026-01-01T00:00:03.000Z"), "{table}");
    assert!(!table.contains(&samples::aci(3).to_string()), "{table}");
    assert!(
        history(&world.environment, samples::aci(8))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn erased_values_are_shown_as_erased_and_secrets_never() {
    let world = World::new().await;
    world.append(&lives()).await;
    world
        .keys
        .destroy(Subject::Account(samples::aci(1)))
        .await
        .unwrap();
    world
        .keys
        .destroy(Subject::Session(samples::session(1), samples::pni(1)))
        .await
        .unwrap();
    for (n, shown) in [(1, "erased"), (2, "+14155550102")] {
        let entries = history(&world.environment, samples::aci(n)).await.unwrap();
        let lines: Vec<_> = entries
            .iter()
            .map(|entry| json(entry).to_string())
            .collect();
        let numbers = lines
            .iter()
            .filter(|line| line.contains(&format!("\"number\":\"{shown}\"")))
            .count();
        assert_eq!(numbers, 2, "the session and the registration of {n}");
        let secrets = samples::new_device(1, 1).credential;
        for secret in [&*secrets.hash, &*secrets.salt, "push-1", "the ciphertext"] {
            assert!(lines.iter().all(|line| !line.contains(secret)), "{secret}");
        }
    }
}
