//! Expected revisions: who may append what to where.

use std::collections::HashMap;

use events::store::{Append, AppendError, Expected, Guard, Revision};
use events::stream::StreamId;
use futures::future::join_all;

use super::StoreUnderTest;
use super::events::{actual_of, append_of, append_one, conflict_of, ids, new_stream, whole, write};

/// Every kind of expectation, on a stream that does not exist and on streams of one and two events.
pub async fn every_expectation_meets_every_stream(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let exact = |revision| Expected::Exact(Revision(revision));
    let expectations = [
        Expected::Any,
        Expected::NoStream,
        exact(0),
        exact(1),
        exact(2),
    ];
    for length in 0..=2_usize {
        for expected in expectations {
            let stream = new_stream();
            for _ in 0..length {
                append_one(&*store, &stream).await;
            }
            let actual = length.checked_sub(1).map(|last| Revision(last as u64));
            let outcome = store.append(append_of(&stream, expected, 1)).await;
            if expected.admits(actual) {
                let appended = outcome.expect("the stream stands as expected");
                assert_eq!(appended.revisions, [Revision(length as u64)]);
                assert!(!appended.repeated);
            } else {
                assert_eq!(
                    actual_of(&outcome),
                    actual,
                    "{expected:?} of {length} events"
                );
                assert_eq!(whole(&*store, &stream).await.len(), length);
            }
        }
    }
}

/// Bytes, types, ids and revisions come back as they went in.
pub async fn a_stream_holds_what_was_appended_in_order(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let stream = new_stream();
    let appends = [3, 1, 2].map(|count| append_of(&stream, Expected::Any, count));
    for append in &appends {
        store.append(append.clone()).await.expect("stored");
    }
    let sent: Vec<_> = appends
        .into_iter()
        .flat_map(|append| append.writes)
        .flat_map(|w| w.events)
        .collect();
    let read = whole(&*store, &stream).await;
    assert_eq!(read.len(), sent.len());
    for ((recorded, event), revision) in read.iter().zip(&sent).zip(0..) {
        assert_eq!(recorded.stream, stream);
        assert_eq!(recorded.revision, Revision(revision));
        assert_eq!(recorded.id, event.id);
        assert_eq!(recorded.type_name, event.type_name);
        assert_eq!(recorded.data, event.data);
        assert_eq!(recorded.metadata, event.metadata);
    }
}

/// From a revision on, and no more than asked for.
pub async fn a_stream_is_read_in_pages(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let stream = new_stream();
    store
        .append(append_of(&stream, Expected::NoStream, 10))
        .await
        .expect("stored");
    let page = async |from, limit| {
        let events = store
            .read(&stream, Revision(from), limit)
            .await
            .expect("readable");
        events
            .iter()
            .map(|event| event.revision.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(page(0, 4).await, [0, 1, 2, 3]);
    assert_eq!(page(4, 4).await, [4, 5, 6, 7]);
    assert_eq!(page(8, 4).await, [8, 9]);
    assert_eq!(page(10, 4).await, [0; 0]);
    let missing = store
        .read(&new_stream(), Revision::FIRST, 4)
        .await
        .expect("readable");
    assert_eq!(missing, []);
}

/// All of an append or nothing.
pub async fn a_conflict_in_one_stream_leaves_the_others_untouched(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let (free, taken) = (new_stream(), new_stream());
    append_one(&*store, &taken).await;
    let append = Append::to(vec![
        write(&free, Expected::NoStream, 2),
        write(&taken, Expected::NoStream, 1),
    ]);
    let outcome = store.append(append).await;
    assert_eq!(
        conflict_of(&outcome),
        (taken.clone(), Expected::NoStream, Some(Revision(0)))
    );
    assert_eq!(whole(&*store, &free).await.len(), 0);
    assert_eq!(whole(&*store, &taken).await.len(), 1);
    let both = Append::to(vec![
        write(&free, Expected::NoStream, 2),
        write(&taken, Expected::Exact(Revision(0)), 1),
    ]);
    let appended = store
        .append(both)
        .await
        .expect("the streams stand as expected");
    assert_eq!(appended.revisions, [Revision(1), Revision(1)]);
}

/// Everybody believes the stream to stand at the same place: one is right, the others learn where it stands.
pub async fn of_sixty_four_writers_each_revision_has_one(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let stream = new_stream();
    let mut winners = HashMap::new();
    for round in 0..5_u64 {
        let expected = match round.checked_sub(1) {
            None => Expected::NoStream,
            Some(last) => Expected::Exact(Revision(last)),
        };
        let appends: Vec<_> = (0..64).map(|_| append_of(&stream, expected, 1)).collect();
        let outcomes = join_all(appends.iter().map(|append| store.append(append.clone()))).await;
        for (append, outcome) in appends.iter().zip(outcomes) {
            match outcome {
                Ok(appended) => {
                    assert_eq!(appended.revisions, [Revision(round)]);
                    assert_eq!(winners.insert(round, ids(append)[0]), None, "two winners");
                }
                Err(_) => assert_eq!(actual_of(&outcome), Some(Revision(round))),
            }
        }
    }
    let stored: Vec<_> = whole(&*store, &stream)
        .await
        .iter()
        .map(|event| event.id)
        .collect();
    let expected: Vec<_> = (0..5).map(|round| winners[&round]).collect();
    assert_eq!(stored, expected);
}

/// An append can depend on a stream that it does not write to. Where that cannot be checked, it is not stored at all.
pub async fn an_append_is_bound_to_its_guards(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let (guarded, written) = (new_stream(), new_stream());
    let guarded_append = |expected| {
        let mut append = append_of(&written, Expected::Any, 1);
        append.guards.push(Guard {
            stream: guarded.clone(),
            expected,
        });
        append
    };
    if !store.checks_guards() {
        let outcome = store.append(guarded_append(Expected::NoStream)).await;
        assert!(
            matches!(outcome, Err(AppendError::Unavailable(_))),
            "{outcome:?}"
        );
        assert_eq!(whole(&*store, &written).await.len(), 0);
        return;
    }
    let first = guarded_append(Expected::NoStream);
    store.append(first.clone()).await.expect("it has no event");
    append_one(&*store, &guarded).await;
    append_one(&*store, &guarded).await;
    for wrong in [Expected::NoStream, Expected::Exact(Revision(0))] {
        let outcome = store.append(guarded_append(wrong)).await;
        assert_eq!(
            conflict_of(&outcome),
            (guarded.clone(), wrong, Some(Revision(1)))
        );
    }
    let exact = guarded_append(Expected::Exact(Revision(1)));
    store.append(exact).await.expect("it stands there");
    let repeated = store.append(first).await.expect("a repeat succeeds");
    assert!(
        repeated.repeated,
        "a repeat is one, whatever has become of its guards"
    );
    assert_eq!(whole(&*store, &written).await.len(), 2);
    assert_eq!(whole(&*store, &guarded).await.len(), 2);
}

/// Of writers who each append to a stream of their own and depend on the stream of their neighbour, not all can be right.
pub async fn of_two_that_depend_on_each_other_one_is_stored(subject: &impl StoreUnderTest) {
    let store = subject.store();
    if !store.checks_guards() {
        return;
    }
    for _ in 0..50 {
        let (one, other) = (new_stream(), new_stream());
        let append = |written: &StreamId, guarded: &StreamId| {
            let mut append = append_of(written, Expected::NoStream, 1);
            append.guards.push(Guard {
                stream: guarded.clone(),
                expected: Expected::NoStream,
            });
            store.append(append)
        };
        let (a, b) = futures::join!(append(&one, &other), append(&other, &one));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    }
}
