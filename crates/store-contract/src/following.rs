//! The log as a whole: positions that rise, and followers that miss nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use events::codec;
use events::ids::EventId;
use events::store::{Append, EventStore, Expected, Position, Recorded};
use events::stream::{Family, StreamId};
use futures::StreamExt as _;
use futures::future::{join, join_all};

use super::StoreUnderTest;
use super::events::{
    append_of, append_one, assert_dense, followed, followed_in, ids, new_operator_stream,
    new_stream, write,
};

const WRITERS: usize = 32;
const APPENDS_EACH: usize = 20;

/// The streams of each writer of [`write_a_lot`].
fn streams_of_writers() -> Vec<[StreamId; 3]> {
    let streams = |_| [new_stream(), new_stream(), new_operator_stream()];
    (0..WRITERS).map(streams).collect()
}

/// Appends of one and of several events, to one and to several streams, from many writers at once. Tells what each
/// append was answered.
async fn write_a_lot(
    store: &Arc<dyn EventStore>,
    writers: &[[StreamId; 3]],
) -> Vec<(Append, Position)> {
    let writer = async |streams: &[StreamId; 3]| {
        let mut answered = Vec::new();
        for round in 0..APPENDS_EACH {
            let append = match round % 4 {
                0 => Append::to(streams.iter().map(|s| write(s, Expected::Any, 2)).collect()),
                1 => append_of(&streams[0], Expected::Any, 3),
                _ => append_of(&streams[round % 3], Expected::Any, 1),
            };
            let appended = store.append(append.clone()).await.expect("stored");
            answered.push((append, appended.position));
        }
        answered
    };
    join_all(writers.iter().map(writer))
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// How many events the writers of [`write_a_lot`] append.
fn total() -> usize {
    WRITERS
        * (0..APPENDS_EACH)
            .map(|round| [6, 3, 1, 1][round % 4])
            .sum::<usize>()
}

/// Fails unless `events` are all that follows after `after`, where that can be told.
fn assert_complete(subject: &impl StoreUnderTest, events: &[Recorded], after: Position) {
    if subject.store().has_dense_positions() && subject.has_a_log_of_its_own() {
        assert_dense(events, after);
    }
}

/// What is acknowledged stands at the acknowledged place, the events of an append in order (in a row, where they are one
/// transaction), streams without a gap.
pub async fn positions_rise_in_the_order_of_revisions(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let writers = streams_of_writers();
    let answered = write_a_lot(&store, &writers).await;
    let own = writers.into_iter().flatten().collect();
    let events = followed_in(&*store, start, &Family::ALL, &own, total()).await;
    assert_eq!(events.len(), total());
    assert!(events.is_sorted_by(|one, next| one.position < next.position));
    assert_complete(subject, &events, start);
    let places: HashMap<EventId, Position> = events
        .iter()
        .map(|event| (event.id, event.position))
        .collect();
    for (append, last) in &answered {
        let stored: Vec<_> = ids(append).iter().map(|id| places[id]).collect();
        assert!(stored.is_sorted());
        assert_eq!(stored.last(), Some(last));
        if subject.store().has_dense_positions() && subject.is_transactional() {
            assert_eq!(last.0 - stored[0].0 + 1, stored.len() as u64, "in a row");
        }
    }
    let mut next: HashMap<&StreamId, u64> = HashMap::new();
    for event in &events {
        let expected = next.entry(&event.stream).or_default();
        assert_eq!(event.revision.0, *expected);
        *expected += 1;
    }
}

/// Followers that start before, and in the middle of, heavy writing: catching up and living on are one.
pub async fn followers_miss_nothing_and_see_nothing_twice(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let writers = streams_of_writers();
    let own: BTreeSet<StreamId> = writers.iter().flatten().cloned().collect();
    let follow = async |skipped: usize| {
        // Waits until the writers are that far, so that it starts in their midst.
        let before = followed_in(&*store, start, &Family::ALL, &own, skipped).await;
        let after = skipped
            .checked_sub(1)
            .map_or(start, |last| before[last].position);
        (
            after,
            followed_in(&*store, after, &Family::ALL, &own, total() - skipped).await,
        )
    };
    let starts = [0, 1, 7, total() / 4, total() / 2];
    let (answered, views) = join(write_a_lot(&store, &writers), join_all(starts.map(follow))).await;
    let written: HashSet<_> = answered
        .iter()
        .flat_map(|(append, _)| ids(append))
        .collect();
    assert_eq!(written.len(), total());
    let (_, whole) = &views[0];
    for ((after, events), skipped) in views.iter().zip(starts) {
        assert_complete(subject, events, *after);
        assert_eq!(events, &whole[skipped..]);
        let distinct: HashSet<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(distinct.len(), events.len());
        assert!(distinct.is_subset(&written));
    }
}

/// A follower may stop after any batch and go on later.
pub async fn following_resumes_from_every_checkpoint(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let streams: Vec<_> = (0..20).map(|_| new_stream()).collect();
    for stream in &streams {
        append_one(&*store, stream).await;
    }
    let own = streams.into_iter().collect();
    let all = followed_in(&*store, start, &Family::ALL, &own, 20).await;
    let checkpoints = [start]
        .into_iter()
        .chain(all.iter().map(|event| event.position));
    for (seen, checkpoint) in checkpoints.enumerate() {
        let rest = followed_in(&*store, checkpoint, &Family::ALL, &own, 20 - seen).await;
        assert_eq!(rest, all[seen..]);
    }
}

/// A follower of a rare family has a checkpoint near the head, whatever the others write.
pub async fn a_filter_advances_the_checkpoint(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let (rare, common) = (new_operator_stream(), new_stream());
    let first = append_one(&*store, &rare).await;
    for _ in 0..50 {
        store
            .append(append_of(&common, Expected::Any, 50))
            .await
            .expect("stored");
    }
    let head = store.head().await.expect("readable");
    let is_rare = |event: &Recorded| event.stream == rare || !subject.has_a_log_of_its_own();
    let found = followed(&*store, start, &[Family::Operator], head).await;
    assert!(found.iter().all(is_rare));
    assert_eq!(found.iter().filter(|event| event.stream == rare).count(), 1);
    let own = BTreeSet::from([rare.clone()]);
    let live = followed_in(&*store, head, &[Family::Operator], &own, 1);
    let (live, last) = join(live, async {
        append_one(&*store, &common).await;
        append_one(&*store, &rare).await
    })
    .await;
    assert_eq!(
        live.iter().map(|event| event.position).collect::<Vec<_>>(),
        [last.position]
    );
    if subject.has_a_log_of_its_own() {
        let page = store
            .read_all(first.position, &[Family::Operator], 10)
            .await
            .expect("readable");
        assert_eq!((page.events, page.through), (live, last.position));
    }
}

/// Reading page after page gives what following gives.
pub async fn the_log_is_read_in_pages(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let streams = [new_stream(), new_operator_stream()];
    for round in 0..30 {
        append_one(&*store, &streams[round % 2]).await;
    }
    let head = store.head().await.expect("readable");
    for families in [&Family::ALL[..], &[Family::Operator], &[Family::Account]] {
        let mut read = Vec::new();
        let mut after = start;
        while after < head {
            let page = store.read_all(after, families, 7).await.expect("readable");
            assert!(page.events.len() <= 7);
            assert!(page.through > after, "a page must move the checkpoint on");
            read.extend(page.events);
            after = page.through;
        }
        let mut followed = followed(&*store, start, families, head).await;
        if subject.has_a_log_of_its_own() {
            assert_eq!(after, head);
            let end = store.read_all(after, families, 7).await.expect("readable");
            assert_eq!((end.events.len(), end.through), (0, head));
        } else {
            read.retain(|event| event.position <= head);
            followed.retain(|event| event.position <= head);
        }
        assert_eq!(read, followed);
    }
}

/// However long the stretches, and wherever it ends.
pub async fn a_scan_is_page_after_page(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    let streams = [new_stream(), new_operator_stream()];
    let own: BTreeSet<StreamId> = streams.iter().cloned().collect();
    for round in 0..30 {
        append_one(&*store, &streams[round % 2]).await;
    }
    let all = followed_in(&*store, start, &Family::ALL, &own, 30).await;
    let of_all = &Family::ALL[..];
    let last = all[29].position;
    let operators = kind_of(
        all.iter()
            .find(|it| it.stream == streams[1])
            .expect("there are"),
    );
    for (families, spare, through, limit) in [
        (of_all, None, last, 7),
        (of_all, None, all[20].position, 1_000),
        (&[Family::Operator][..], None, last, 4),
        (&[Family::Account][..], None, last, 4),
        (of_all, Some(operators), last, 7),
        (of_all, Some(operators), all[20].position, 1_000),
        (&[Family::Operator][..], Some(operators), last, 4),
    ] {
        let mut scanned = Vec::new();
        let mut reached = start;
        let mut stretches = match spare {
            None => store.scan(start, through, families, limit),
            Some(spare) => store.scan_without(start, through, families, &[spare], limit),
        };
        while let Some(stretch) = stretches.next().await {
            let stretch = stretch.expect("the log is sound");
            assert!(
                stretch.through > reached,
                "a stretch must move the checkpoint on"
            );
            assert!(stretch.events.len() <= limit);
            reached = stretch.through;
            scanned.extend(stretch.events);
        }
        assert_eq!(reached, through, "it ends where it was told to");
        // What can be spared may be there or not.
        let spared = |event: &Recorded| Some(kind_of(event)) == spare;
        scanned.retain(|event| own.contains(&event.stream) && !spared(event));
        let wanted = |event: &&Recorded| {
            event.position <= through && families.contains(&event.stream.family()) && !spared(event)
        };
        assert_eq!(
            scanned,
            all.iter().filter(wanted).cloned().collect::<Vec<_>>()
        );
    }
    assert!(
        store
            .scan(start, start, &Family::ALL, 7)
            .next()
            .await
            .is_none()
    );
}

fn kind_of(event: &Recorded) -> (Family, &'static str) {
    let family = event.stream.family();
    let mut kinds = codec::types(family).iter();
    let (_, kind) = kinds
        .find(|(_, kind)| *kind == event.type_name)
        .expect("the kinds of the contract's events are known");
    (family, kind)
}

/// From before the first event on.
pub async fn the_head_is_the_last_position(subject: &impl StoreUnderTest) {
    let store = subject.store();
    let start = store.head().await.expect("readable");
    assert!(start == Position::START || !subject.has_a_log_of_its_own());
    for count in 1..=3 {
        let appended = append_one(&*store, &new_stream()).await;
        let head = store.head().await.expect("readable");
        if subject.has_a_log_of_its_own() {
            assert_eq!(head, appended.position);
            assert!(head.0 == count || !subject.store().has_dense_positions());
        } else {
            assert!(head >= appended.position);
        }
    }
}
