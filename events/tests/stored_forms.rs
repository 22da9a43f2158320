//! The stored form of every kind of event, pinned. A difference here is a log that the next version cannot read: a new
//! meaning is a new kind or an upcaster, never a changed form.

#![expect(
    clippy::unwrap_used,
    reason = "a sample that cannot be built fails its test"
)]

mod samples;

use std::collections::{BTreeMap, HashMap};

use events::codec::{Fact, SCHEMA_VERSION, types};
use events::personal::{KeyId, SubjectKey};
use events::ports::Entropy;
use events::{
    Actor, AnyEvent, EventId, Family, Metadata, Position, Recorded, RequestId, Revision, StreamId,
    Timestamp,
};
use uuid::Uuid;

/// The same "random" bytes in every run, so that sealed values have one stored form.
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

fn key() -> SubjectKey {
    SubjectKey::new(KeyId(Uuid::from_u128(0x4b)), [9; 32])
}

fn sealed(event: &AnyEvent) -> AnyEvent {
    let mut event = event.clone();
    event.visit_personal(&mut |field| field.seal(&key(), &Fixed));
    event
}

fn recorded(event: &AnyEvent, family: Family) -> Recorded {
    let metadata = Metadata {
        at: Timestamp::from_epoch_millis(1_767_225_600_000).unwrap(),
        actor: Actor::Anonymous,
        request: RequestId(Uuid::from_u128(1)),
        causation: None,
        correlation: None,
        schema_version: SCHEMA_VERSION,
    };
    Recorded {
        position: Position(1),
        stream: StreamId::from_parts(family, "7"),
        revision: Revision::FIRST,
        id: EventId::from_random([1; 16]),
        type_name: event.type_name().into(),
        data: event.to_json().unwrap().into(),
        metadata: serde_json::to_vec(&metadata).unwrap().into(),
        recorded_at: Timestamp::default(),
    }
}

#[test]
fn numbers_and_names_never_change() {
    let kinds = Family::ALL.into_iter().flat_map(|family| {
        let kinds = types(family).iter();
        kinds.map(move |(code, name)| format!("{family} {code} {name}"))
    });
    insta::assert_snapshot!("kinds", kinds.collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_kind_has_a_sample() {
    let mut missing: BTreeMap<Family, Vec<&str>> = Family::ALL
        .into_iter()
        .map(|family| {
            (
                family,
                types(family).iter().map(|(_, name)| *name).collect(),
            )
        })
        .collect();
    for (family, event) in samples::all() {
        missing
            .get_mut(&family)
            .unwrap()
            .retain(|name| *name != event.type_name());
    }
    missing.retain(|_, names| !names.is_empty());
    assert_eq!(missing, BTreeMap::new());
}

#[test]
fn stored_forms_never_change() {
    let mut forms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (family, event) in samples::all() {
        let stored = sealed(&event).to_json().unwrap();
        let kind = format!("{family}-{}", event.type_name());
        forms
            .entry(kind)
            .or_default()
            .push(String::from_utf8(stored).unwrap());
    }
    for (kind, forms) in forms {
        insta::assert_snapshot!(kind, forms.join("\n"));
    }
}

#[test]
fn stored_forms_read_back_while_their_key_exists() {
    for (family, event) in samples::all() {
        let mut fact = Fact::decode(&recorded(&sealed(&event), family)).unwrap();
        let mut needed = Vec::new();
        fact.needs_keys(&mut needed);
        let keys = needed.into_iter().map(|id| (id, key())).collect();
        fact.open(&keys).unwrap();
        assert_eq!(fact.event, event);
    }
}

#[test]
fn without_its_key_a_stored_form_keeps_its_shape_and_loses_its_secrets() {
    let mut personal = 0;
    for (family, event) in samples::all() {
        let mut fact = Fact::decode(&recorded(&sealed(&event), family)).unwrap();
        fact.open(&HashMap::new()).unwrap();
        assert_eq!(fact.event.type_name(), event.type_name());
        fact.event.visit_personal(&mut |field| {
            personal += 1;
            assert_eq!(field.key(), None);
        });
        for secret in samples::SECRETS {
            assert!(
                !format!("{:?}", fact.event).contains(secret),
                "{}",
                event.type_name()
            );
        }
    }
    assert!(
        personal >= 8,
        "samples hold every personal value there is, not {personal}"
    );
}

#[test]
fn no_personal_value_stands_in_a_stored_form() {
    for (_, event) in samples::all() {
        let stored = String::from_utf8(sealed(&event).to_json().unwrap()).unwrap();
        for secret in samples::SECRETS {
            assert!(
                !stored.contains(secret),
                "{} shows {secret}",
                event.type_name()
            );
        }
    }
}

#[test]
fn a_clear_personal_value_has_no_stored_form() {
    for (_, mut event) in samples::all() {
        let mut clear = false;
        event.visit_personal(&mut |field| clear |= field.key().is_none());
        assert_eq!(event.to_json().is_err(), clear, "{}", event.type_name());
    }
}
