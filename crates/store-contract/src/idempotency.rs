//! Event ids: the same append twice is one append.

use events::store::{Append, AppendError, Expected, Revision};
use futures::future::join_all;

use super::StoreUnderTest;
use super::events::{append_of, append_one, ids, new_event, new_stream, whole, write};

/// Also when the streams have moved on, so that the expectation no longer fits.
pub async fn a_repeat_answers_like_the_first_time(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let (one, two) = (new_stream(), new_stream());
    append_one(&*store, &two).await;
    let append = Append::to(vec![
        write(&one, Expected::NoStream, 2),
        write(&two, Expected::Any, 1),
    ]);
    let first = store.append(append.clone()).await.expect("stored");
    assert!(!first.repeated);
    let at_once = store
        .append(append.clone())
        .await
        .expect("a repeat succeeds");
    for stream in [&one, &two, &new_stream()] {
        append_one(&*store, stream).await;
    }
    let later = store.append(append).await.expect("a repeat succeeds");
    for again in [at_once, later] {
        assert!(again.repeated);
        assert_eq!(
            (again.position, &again.revisions),
            (first.position, &first.revisions)
        );
    }
    assert_eq!(whole(&*store, &one).await.len(), 3);
    assert_eq!(whole(&*store, &two).await.len(), 3);
}

/// Somebody has given an id twice: nothing is stored.
pub async fn a_half_repeated_append_is_refused(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let stream = new_stream();
    let first = append_of(&stream, Expected::NoStream, 1);
    store.append(first.clone()).await.expect("stored");
    for expected in [
        Expected::Any,
        Expected::NoStream,
        Expected::Exact(Revision(0)),
    ] {
        if expected == Expected::Exact(Revision(0)) && !subject.knows_ids_everywhere() {
            continue; // Behind revision 0 there is no such id.
        }
        let mut half = append_of(&stream, expected, 1);
        half.writes[0]
            .events
            .insert(0, first.writes[0].events[0].clone());
        let outcome = store.append(half).await;
        let Err(AppendError::IdReused { id }) = outcome else {
            panic!("expected a reused id, got {outcome:?}");
        };
        assert_eq!(id, ids(&first)[0]);
    }
    assert_eq!(whole(&*store, &stream).await.len(), 1);
}

/// A repeat goes to the same streams. For stores that know ids everywhere.
pub async fn an_id_of_another_stream_is_refused(subject: &impl StoreUnderTest) {
    if !subject.knows_ids_everywhere() {
        return;
    }
    let store = subject.store();
    let (one, two) = (new_stream(), new_stream());
    let event = new_event(&one);
    let to =
        |stream: &events::StreamId| Append::one(stream.clone(), Expected::Any, vec![event.clone()]);
    store.append(to(&one)).await.expect("stored");
    let outcome = store.append(to(&two)).await;
    assert!(
        matches!(outcome, Err(AppendError::IdReused { id }) if id == event.id),
        "{outcome:?}"
    );
    assert_eq!(whole(&*store, &two).await, []);
}

/// A client that has lost patience sends again before the first answer.
pub async fn of_many_repeats_at_once_one_is_stored(subject: &impl StoreUnderTest) {
    let store = subject.store();
    for expected in [Expected::NoStream, Expected::Any] {
        let stream = new_stream();
        let append = append_of(&stream, expected, 2);
        let outcomes = join_all((0..16).map(|_| store.append(append.clone()))).await;
        let answers: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| outcome.expect("stored or repeated"))
            .collect();
        assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
        assert!(
            answers
                .iter()
                .all(|answer| answer.revisions == [Revision(1)])
        );
        assert!(
            answers
                .iter()
                .all(|answer| answer.position == answers[0].position)
        );
        assert_eq!(whole(&*store, &stream).await.len(), 2);
    }
}
