//! Reading and following, over breaks and past filters.

#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::{
    Append, Batch, EventId, EventStore as _, Expected, Family, Position, ReadError, Revision,
    StreamId,
};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use store_eventstore::{Error, EventStoreDb};
use support::{connect, double, event, id, ids, numbers, one};
use testkit::eventstore::Double;

/// An event of another family.
async fn operator(store: &EventStoreDb, number: u128) -> Position {
    operators(store, &[number]).await
}

async fn operators(store: &EventStoreDb, numbers: &[u128]) -> Position {
    let of = |number: &u128| events::NewEvent {
        type_name: "ProjectionRebuilt",
        ..event(*number)
    };
    let events = numbers.iter().map(of).collect();
    let append = Append::one(StreamId::operator("one"), Expected::Any, events);
    store.append(append).await.unwrap().position
}

async fn gather(
    batches: &mut BoxStream<'static, Result<Batch, ReadError>>,
    count: usize,
) -> Vec<EventId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let batch = batches
            .next()
            .await
            .expect("following does not end")
            .unwrap();
        ids.extend(batch.events.iter().map(|event| event.id));
    }
    ids
}

#[tokio::test]
async fn a_stream_that_was_never_written_is_empty() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    assert_eq!(
        store.read(&numbers(1), Revision::FIRST, 10).await.unwrap(),
        []
    );
    assert_eq!(store.head().await.unwrap(), Position::START);
    let all = store
        .read_all(Position::START, &Family::ALL, 10)
        .await
        .unwrap();
    assert_eq!(all, Batch::default());
}

#[tokio::test]
async fn long_streams_are_read_from_page_to_page() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let all: Vec<u128> = (1..=2_500).collect();
    for chunk in all.chunks(500) {
        store.append(one(1, Expected::Any, chunk)).await.unwrap();
    }
    let wanted: Vec<_> = all.iter().map(|number| id(*number)).collect();
    assert_eq!(ids(&store, 1).await, wanted);
    let part = store.read(&numbers(1), Revision(990), 1_020).await.unwrap();
    assert_eq!(
        part.iter().map(|event| event.id).collect::<Vec<_>>(),
        wanted[990..2_010]
    );
    let batch = store
        .read_all(Position(990), &[Family::Number], 1_020)
        .await
        .unwrap();
    assert_eq!(batch.events, part);
    assert_eq!(batch.through, Position(2_010));
}

#[tokio::test]
async fn read_all_passes_over_what_was_not_asked_for() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    operator(&store, 2).await;
    store.append(one(1, Expected::Any, &[3])).await.unwrap();
    let last = operator(&store, 4).await;
    let batch = store
        .read_all(Position::START, &[Family::Number], 10)
        .await
        .unwrap();
    assert_eq!(
        batch
            .events
            .iter()
            .map(|event| event.id)
            .collect::<Vec<_>>(),
        [id(1), id(3)]
    );
    assert_eq!(batch.through, last);
    let first = store
        .read_all(Position::START, &[Family::Number], 1)
        .await
        .unwrap();
    let rest = store
        .read_all(first.through, &[Family::Number], 10)
        .await
        .unwrap();
    assert_eq!((first.events[0].id, rest.events[0].id), (id(1), id(3)));
    assert_eq!(store.head().await.unwrap(), last);
}

#[tokio::test]
async fn reads_go_on_after_the_connection_breaks() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    for _ in 0..5 {
        double.faults().drop_connections();
        assert_eq!(ids(&store, 1).await, [id(1)]);
        assert_eq!(store.head().await.unwrap(), Position(1));
    }
}

#[tokio::test]
async fn a_follower_misses_and_repeats_nothing_over_broken_connections() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &[Family::Number]);
    for round in 0..20_u128 {
        store
            .append(one(1, Expected::Any, &[2 * round + 1, 2 * round + 2]))
            .await
            .unwrap();
        let wanted = [id(2 * round + 1), id(2 * round + 2)];
        assert_eq!(gather(&mut batches, 2).await, wanted);
        double.faults().drop_connections();
    }
}

#[tokio::test]
async fn a_follower_waits_for_a_server_that_is_away() {
    let (double, memory) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &[Family::Number]);
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    assert_eq!(gather(&mut batches, 1).await, [id(1)]);
    let before = double.faults().seen().connections;
    double.faults().refuse_connections(true);
    // Written by somebody else meanwhile, in the way this adapter writes.
    let mut other = memory.events()[0].clone();
    other.id = id(2);
    let append = Append::one(
        numbers(1),
        Expected::Any,
        vec![events::NewEvent {
            id: other.id,
            type_name: "NumberReleased",
            data: other.data,
            metadata: other.metadata,
            payloads: Vec::new(),
        }],
    );
    events::EventStore::append(&memory, append).await.unwrap();
    while double.faults().seen().connections < before + 3 {
        tokio::task::yield_now().await;
    }
    double.faults().refuse_connections(false);
    assert_eq!(gather(&mut batches, 1).await, [id(2)]);
}

#[tokio::test]
async fn the_server_filters_by_family_and_skipped_events_move_the_checkpoint() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    for number in 2..10 {
        operator(&store, number).await;
    }
    let mut batches = store.follow(Position::START, &[Family::Number, Family::Keys]);
    assert_eq!(gather(&mut batches, 1).await, [id(1)]);
    // Live, each skipped event is a checkpoint, so that whoever waits for a position gets there.
    let last = operator(&store, 10).await;
    let mut through = Position::START;
    while through < last {
        let batch = batches.next().await.unwrap().unwrap();
        assert!(
            batch.events.is_empty() && batch.through > through,
            "{batch:?}"
        );
        through = batch.through;
    }
    let filters = double.faults().seen().filters;
    assert_eq!(
        filters,
        vec![vec!["number-".to_owned(), "keys-".to_owned()]; 2]
    );
    // Begun again at the checkpoint, nothing is skipped a second time.
    let mut again = store.follow(through, &[Family::Number]);
    store.append(one(1, Expected::Any, &[11])).await.unwrap();
    assert_eq!(gather(&mut again, 1).await, [id(11)]);
}

#[tokio::test]
async fn a_long_way_through_other_families_does_not_carry_their_events() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    let others: Vec<u128> = (10..3_010).collect();
    for chunk in others.chunks(500) {
        operators(&store, chunk).await;
    }
    store.append(one(1, Expected::Any, &[2])).await.unwrap();
    let last = operator(&store, 3).await;
    let sent = || double.faults().seen().events;

    let before = sent();
    let scanned: Vec<Batch> = store
        .scan(Position::START, last, &[Family::Number], 1)
        .try_collect()
        .await
        .unwrap();
    let events = scanned.iter().flat_map(|batch| &batch.events);
    assert_eq!(events.map(|it| it.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert_eq!(scanned.last().unwrap().through, last);
    assert_eq!(sent() - before, 2);

    // A read that ends looks at one page as it is, and asks for the head.
    let before = sent();
    let read = store.read_all(Position::START, &[Family::Number], 10).await;
    let read = read.unwrap();
    let ids: Vec<_> = read.events.iter().map(|it| it.id).collect();
    assert_eq!((&*ids, read.through), (&[id(1), id(2)][..], last));
    assert!(sent() - before < 1_010, "{}", sent() - before);
}

#[tokio::test]
async fn a_scan_of_a_server_that_is_away_ends() {
    let (double, _) = double().await;
    let options = store_eventstore::Options {
        deadline: Duration::from_millis(200),
        ..support::options(&double.url())
    };
    let store = support::connect_with(options, Arc::default())
        .await
        .unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    double.faults().refuse_connections(true);
    let mut scan = store.scan(Position::START, Position(1), &[Family::Number], 10);
    let error = support::why_unread(scan.next().await.unwrap().unwrap_err());
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn following_can_begin_at_every_position() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let all: Vec<u128> = (1..=20).collect();
    store.append(one(1, Expected::Any, &all)).await.unwrap();
    for after in 0..20 {
        let mut batches = store.follow(Position(after), &[Family::Number]);
        let rest: Vec<_> = (u128::from(after) + 1..=20).map(id).collect();
        assert_eq!(gather(&mut batches, rest.len()).await, rest);
    }
}

#[tokio::test]
async fn a_live_reader_under_sixty_four_writers_misses_and_repeats_nothing() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &Family::ALL);
    let writer = |writer: u128| {
        let store = store.clone();
        async move {
            for round in 0..20 {
                store
                    .append(one(writer, Expected::Any, &[writer * 100 + round]))
                    .await
                    .unwrap();
            }
        }
    };
    let writing = futures::future::join_all((1..=64).map(writer));
    let (read, _) = tokio::join!(gather(&mut batches, 64 * 20), writing);
    let log = store
        .read_all(Position::START, &Family::ALL, usize::MAX)
        .await
        .unwrap();
    let log: Vec<_> = log.events.iter().map(|event| event.id).collect();
    assert_eq!(read, log);
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 64 * 20);
}

#[tokio::test]
async fn what_this_store_did_not_write_is_reported_as_damage_once_and_at_its_place() {
    let (double, memory) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    events::EventStore::append(&memory, one(1, Expected::Any, &[2]))
        .await
        .unwrap();
    let error = store
        .read(&numbers(1), Revision::FIRST, 10)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                position: Position(2),
                ..
            }
        ),
        "{error:?}"
    );
    let mut batches = store.follow(Position::START, &Family::ALL);
    assert_eq!(gather(&mut batches, 1).await, [id(1)]);
    let error = batches.next().await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                position: Position(2),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(batches.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_somebody_deleted_is_named() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    store.append(one(1, Expected::Any, &[1])).await.unwrap();
    let client = eventstore::Client::new(double.url().parse().unwrap()).unwrap();
    let options = eventstore::TombstoneStreamOptions::default();
    client
        .tombstone_stream(numbers(1).to_string(), &options)
        .await
        .unwrap();
    let error = support::why_unread(
        store
            .read(&numbers(1), Revision::FIRST, 10)
            .await
            .unwrap_err(),
    );
    assert!(matches!(&error, Error::StreamDeleted(name) if *name == numbers(1).to_string()));
    let error = support::why(store.append(one(1, Expected::Any, &[2])).await.unwrap_err());
    assert!(matches!(error, Error::StreamDeleted(_)));
}

#[tokio::test]
async fn the_double_stands_over_postgres_as_well() {
    let database = testkit::postgres::TestDatabase::create().await;
    let double = Double::over(Arc::new(database.event_store().await)).await;
    let store = connect(&double.url()).await.unwrap();
    let first = store
        .append(one(1, Expected::NoStream, &[1, 2]))
        .await
        .unwrap();
    let again = store
        .append(one(1, Expected::NoStream, &[1, 2]))
        .await
        .unwrap();
    assert_eq!(first.position, again.position);
    let mut batches = store.follow(Position::START, &[Family::Number]);
    assert_eq!(gather(&mut batches, 2).await, [id(1), id(2)]);
    store
        .append(one(1, Expected::Exact(Revision(1)), &[3]))
        .await
        .unwrap();
    assert_eq!(gather(&mut batches, 1).await, [id(3)]);
}
