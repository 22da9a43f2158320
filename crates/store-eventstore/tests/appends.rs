//! What becomes of appends when things go wrong between the client and the server.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::payload::Payload;
use events::store::StreamWrite;
use events::{Append, AppendError, EventStore as _, Expected, PayloadId, Position, Revision};
use store_eventstore::{Error, Options};
use support::{connect, connect_with, double, event, id, ids, numbers, one, options, why};
use testkit::eventstore::Cut;
use uuid::Uuid;

const EVERY_EXPECTATION: [Expected; 3] = [
    Expected::Any,
    Expected::NoStream,
    Expected::Exact(Revision(0)),
];

fn write(stream: u128, expected: Expected, event_number: u128) -> StreamWrite {
    StreamWrite {
        stream: numbers(stream),
        expected,
        events: vec![event(event_number)],
    }
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_asked_for_again_and_stored_once() {
    for expected in EVERY_EXPECTATION {
        for cut in [Cut::BeforeStored, Cut::AfterStored] {
            let (double, _) = double().await;
            let store = connect(&double.url()).await.unwrap();
            let mut wanted = vec![id(1), id(2)];
            if let Expected::Exact(_) = expected {
                store
                    .append(one(1, Expected::NoStream, &[9]))
                    .await
                    .unwrap();
                wanted.insert(0, id(9));
            }
            double.faults().cut_append(cut);
            let appended = store.append(one(1, expected, &[1, 2])).await.unwrap();
            assert!(!appended.repeated, "{expected:?} {cut:?}");
            assert_eq!(appended.revisions, [Revision(wanted.len() as u64 - 1)]);
            assert_eq!(ids(&store, 1).await, wanted, "{expected:?} {cut:?}");
            if (expected, cut) == (Expected::Any, Cut::AfterStored) {
                let sent = double.faults().seen().appends;
                assert_eq!(sent, 1, "the events were found, and not sent again");
            }
        }
    }
}

#[tokio::test]
async fn a_second_break_leaves_the_outcome_open_and_the_callers_repeat_is_safe() {
    for expected in [Expected::Any, Expected::NoStream] {
        let (double, _) = double().await;
        let store = connect(&double.url()).await.unwrap();
        double.faults().cut_append(Cut::BeforeStored);
        double.faults().cut_append(Cut::AfterStored);
        let error = why(store.append(one(1, expected, &[1])).await.unwrap_err());
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        let appended = store.append(one(1, expected, &[1])).await.unwrap();
        assert_eq!(appended.position, Position(1));
        assert_eq!(ids(&store, 1).await, [id(1)]);
    }
}

#[tokio::test]
async fn a_deadline_leaves_the_outcome_open_and_the_repeat_is_safe() {
    let (double, _) = double().await;
    let after = Duration::from_millis(100);
    let hasty = Options {
        deadline: after,
        ..options(&double.url())
    };
    let hasty = connect_with(hasty, Arc::default()).await.unwrap();
    let held = double.faults().hold_appends();
    let error = why(hasty
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap_err());
    assert!(
        matches!(error, Error::Deadline { after: waited } if waited == after),
        "{error:?}"
    );
    drop(held);
    let patient = connect(&double.url()).await.unwrap();
    patient
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    assert_eq!(ids(&patient, 1).await, [id(1)]);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words_and_breaks_no_connection() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut append = one(1, Expected::Any, &[1]);
    append.writes[0].events[0].type_name = "NeverHeardOf";
    let error = why(store.append(append).await.unwrap_err());
    assert!(
        matches!(&error, Error::Other(answer) if answer.contains("NeverHeardOf")),
        "{error:?}"
    );
    store.append(one(1, Expected::Any, &[2])).await.unwrap();
    assert_eq!(double.faults().seen().connections, 1);
}

#[tokio::test]
async fn a_conflict_leaves_other_appends_alone() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    let good = (10..42).map(|number| one(number, Expected::NoStream, &[number]));
    let bad = (100..132).map(|number| one(1, Expected::NoStream, &[number]));
    let appends = good.zip(bad).flat_map(|(good, bad)| [good, bad]);
    let outcomes = futures::future::join_all(appends.map(|append| store.append(append))).await;
    for pair in outcomes.chunks(2) {
        assert!(pair[0].is_ok(), "{:?}", pair[0]);
        let conflict = pair[1].as_ref().unwrap_err();
        assert!(
            matches!(
                conflict,
                AppendError::WrongRevision {
                    actual: Some(Revision(0)),
                    ..
                }
            ),
            "{conflict:?}"
        );
    }
    let stored = 1 + 32;
    assert_eq!(store.head().await.unwrap(), Position(stored));
    let sessions = double.faults().seen().sessions;
    assert!(
        sessions > 1,
        "conflicts ended sessions, and others were begun"
    );
}

#[tokio::test]
async fn half_a_repeat_names_the_reused_id() {
    for expected in [Expected::Any, Expected::NoStream] {
        let (double, _) = double().await;
        let store = connect(&double.url()).await.unwrap();
        store.append(one(1, expected, &[1])).await.unwrap();
        let error = store.append(one(1, expected, &[1, 2])).await.unwrap_err();
        assert!(
            matches!(error, AppendError::IdReused { id: reused } if reused == id(1)),
            "{error:?}"
        );
        assert_eq!(ids(&store, 1).await, [id(1)]);
    }
}

#[tokio::test]
async fn a_conflict_on_a_later_stream_stores_nothing_on_the_earlier_ones() {
    let (double, memory) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store
        .append(one(3, Expected::NoStream, &[30]))
        .await
        .unwrap();
    let writes = (1..=3)
        .map(|number| write(number, Expected::NoStream, number))
        .collect();
    let error = store.append(Append::to(writes)).await.unwrap_err();
    let AppendError::WrongRevision {
        stream,
        expected,
        actual,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((stream, expected), (numbers(3), Expected::NoStream));
    assert_eq!(actual, Some(Revision(0)));
    assert_eq!(memory.events().len(), 1);
}

#[tokio::test]
async fn an_append_over_streams_that_is_cut_short_leaves_a_prefix_and_its_repeat_completes_it() {
    let append = || {
        Append::to(
            (1..=3)
                .map(|number| write(number, Expected::NoStream, number))
                .collect(),
        )
    };
    for cut_at in 0..3 {
        let (double, memory) = double().await;
        let store = connect(&double.url()).await.unwrap();
        for _ in 0..cut_at {
            double.faults().let_append_pass();
        }
        // The adapter asks once more, so it takes two.
        double.faults().cut_append(Cut::BeforeStored);
        double.faults().cut_append(Cut::BeforeStored);
        let error = why(store.append(append()).await.unwrap_err());
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        let stored: Vec<_> = memory
            .events()
            .iter()
            .map(|event| event.stream.clone())
            .collect();
        let prefix: Vec<_> = (1..=cut_at).map(numbers).collect();
        assert_eq!(stored, prefix);

        let appended = store.append(append()).await.unwrap();
        assert_eq!(appended.revisions, [Revision(0); 3]);
        assert_eq!(appended.position, Position(3));
        assert_eq!(memory.events().len(), 3);
    }
}

#[tokio::test]
async fn a_repeat_over_streams_is_known_as_one() {
    let (double, memory) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let append = || {
        Append::to(
            (1..=3)
                .map(|number| write(number, Expected::NoStream, number))
                .collect(),
        )
    };
    let first = store.append(append()).await.unwrap();
    store.append(one(1, Expected::Any, &[9])).await.unwrap();
    let again = store.append(append()).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(
        (again.position, &again.revisions),
        (first.position, &first.revisions)
    );
    assert_eq!(memory.events().len(), 4);
}

#[tokio::test]
async fn payloads_are_kept_before_their_events_are_written() {
    let (double, memory) = double().await;
    let payloads = Arc::new(support::Payloads::default());
    let store = connect_with(options(&double.url()), payloads.clone())
        .await
        .unwrap();
    let mut append = one(1, Expected::NoStream, &[1]);
    append.writes[0].events[0].payloads = vec![Payload {
        id: PayloadId(Uuid::from_u128(7)),
        bytes: Bytes::from_static(b"secret"),
    }];

    payloads.fail(true);
    let error = store.append(append.clone()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unavailable(_)));
    assert_eq!(memory.events().len(), 0, "no event without its payload");

    payloads.fail(false);
    double.faults().fail_appends(2);
    let error = why(store.append(append.clone()).await.unwrap_err());
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    assert_eq!(
        (payloads.count(), memory.events().len()),
        (1, 0),
        "an orphan, for the sweep"
    );

    store.append(append).await.unwrap();
    assert_eq!((payloads.count(), memory.events().len()), (1, 1));
    assert_eq!(
        memory.payload_count(),
        0,
        "payloads do not go to the cluster"
    );
}

#[tokio::test]
async fn an_append_over_the_limit_is_refused_before_it_is_sent() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let sized = |bytes: usize| {
        let mut append = one(1, Expected::NoStream, &[1]);
        append.writes[0].events[0].data = format!("\"{}\"", "x".repeat(bytes - 2)).into();
        append
    };
    let error = store.append(sized(1 << 20)).await.unwrap_err();
    assert!(
        matches!(error, AppendError::TooLarge { events: 1, .. }),
        "{error:?}"
    );
    assert_eq!(double.faults().seen().appends, 0);
    store.append(sized((1 << 20) - 1_024)).await.unwrap();
}

#[tokio::test]
async fn bytes_and_times_come_back_as_they_went_in() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut append = one(1, Expected::NoStream, &[1, 2, 3]);
    append.writes[0].events[1].metadata = Bytes::new();
    append.writes[0].events[2].data = Bytes::from_static(b" { } ");
    let appended = store.append(append.clone()).await.unwrap();
    let read = store.read(&numbers(1), Revision::FIRST, 10).await.unwrap();
    for (new, recorded) in append.writes[0].events.iter().zip(&read) {
        assert_eq!(
            (&new.data, &new.metadata),
            (&recorded.data, &recorded.metadata)
        );
        assert_eq!((new.id, new.type_name), (recorded.id, &*recorded.type_name));
        let at = testkit::environment::FrozenClock::START_MILLIS;
        assert_eq!(recorded.recorded_at.epoch_millis(), at);
    }
    assert_eq!(read.len(), 3);
    assert_eq!(read[2].position, appended.position);
}

#[tokio::test]
async fn sixty_four_writers_at_one_stream_have_one_winner_for_each_revision() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let writer = async |writer: u128| {
        let mut won = 0;
        let mut expected = Expected::NoStream;
        for round in 0..10 {
            let number = writer * 100 + round;
            match store.append(one(1, expected, &[number])).await {
                Ok(appended) => {
                    won += 1;
                    expected = Expected::Exact(appended.revisions[0]);
                }
                Err(AppendError::WrongRevision {
                    actual: Some(actual),
                    ..
                }) => {
                    expected = Expected::Exact(actual);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        won
    };
    let won: usize = futures::future::join_all((1..=64).map(writer))
        .await
        .into_iter()
        .sum();
    let stored = store
        .read(&numbers(1), Revision::FIRST, usize::MAX)
        .await
        .unwrap();
    assert_eq!(stored.len(), won);
    assert!(
        (0..)
            .zip(&stored)
            .all(|(revision, event)| event.revision == Revision(revision))
    );
}
