//! What a reader decodes and opens.

use std::sync::Arc;

use events::account::AccountEvent;
use events::personal::{Subject, SubjectKeys as _};
use events::{AnyEvent, EventStore as _, Family, Personal, Position, StreamId};
use subscription::{Need, Reader};
use testkit::history::{History, samples};
use testkit::memory::MemoryStore;

/// The number in the event that registered an account.
fn number(fact: &events::codec::Fact) -> &Personal<events::E164> {
    match &fact.event {
        AnyEvent::Account(AccountEvent::AccountRegistered(e)) => &e.number,
        other => panic!("{other:?}"),
    }
}

async fn three_accounts() -> Arc<MemoryStore> {
    let mut history = History::default();
    for account in 1..=3 {
        history.then(
            StreamId::account(samples::aci(account)),
            samples::registered(account, 1),
        );
    }
    history.then(StreamId::account(samples::aci(1)), samples::seen(1));
    let store = Arc::new(MemoryStore::default());
    history.append(&*store, &*store).await;
    store
}

#[tokio::test]
async fn what_nobody_needs_is_not_decoded_and_what_is_sealed_stays_so() {
    let store = three_accounts().await;
    let reader = Reader::new(store.clone(), store.clone());
    let batch = store
        .read_all(Position::START, &[Family::Account], 100)
        .await
        .unwrap();
    let need = |_, kind: &str| match kind {
        "DeviceSeen" => Need::Nothing,
        _ => Need::Sealed,
    };
    let stretch = reader
        .decode_for(Position::START, &batch, &need)
        .await
        .unwrap();
    assert_eq!(stretch.through, Position(4));
    assert_eq!(stretch.facts.len(), 3);
    for fact in &stretch.facts {
        assert!(matches!(number(fact), Personal::Sealed(_)));
    }
    let whole = reader.decode(Position::START, &batch).await.unwrap();
    assert_eq!(whole.facts.len(), 4);
    assert!(whole.bytes > stretch.bytes);
}

#[tokio::test]
async fn keys_that_are_known_and_keys_that_are_not_open_alike_and_destroyed_ones_nothing() {
    let store = three_accounts().await;
    let reader = Reader::new(store.clone(), store.clone());
    let families = [Family::Account];
    let first = reader.read(Position::START, &families, 1).await.unwrap();
    assert_eq!(
        number(&first.facts[0]).known(),
        Some(&samples::number(1)),
        "fetched"
    );
    let third = Subject::Account(samples::aci(3));
    assert!(store.destroy(third).await.unwrap());
    let all = reader.read(Position::START, &families, 100).await.unwrap();
    let numbers: Vec<_> = all.facts[..3].iter().map(|fact| number(fact)).collect();
    assert_eq!(numbers[0].known(), Some(&samples::number(1)), "remembered");
    assert_eq!(numbers[1].known(), Some(&samples::number(2)), "fetched");
    assert_eq!(numbers[2], &Personal::Erased);
    assert!(all.unreadable.is_empty());
}
