//! What the database itself guards, and what people see in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use events::store::{AppendError, EventStore, Expected, Position, ReadError, Revision};
use events::stream::Family;
use futures::StreamExt as _;
use store_postgres::{MAX_APPEND_EVENTS, Options, PgEventStore, StartError};
use testkit::contract::events::{append_of, append_one, new_stream, whole};
use testkit::environment::FrozenClock;
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::test]
async fn the_log_refuses_to_be_changed() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let stream = new_stream();
    append_one(&store, &stream).await;
    for change in [
        "UPDATE log.events SET data = ''",
        "DELETE FROM log.events WHERE position = 1",
        "DELETE FROM log.events WHERE false",
        "TRUNCATE log.events",
    ] {
        let refused = sqlx::query(change)
            .execute(&database.pool)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("the log is append-only"),
            "{change}: {refused}"
        );
    }
    assert_eq!(whole(&store, &stream).await.len(), 1);
}

#[tokio::test]
async fn people_read_names_and_json() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let stream = new_stream();
    append_one(&store, &stream).await;
    let (name, kind, number, year): (String, String, bool, i32) = sqlx::query_as(
        "SELECT stream, type, data ? 'number', extract(year FROM recorded_at)::int FROM log.readable WHERE position = 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(
        (name, kind.as_str(), number, year),
        (stream.to_string(), "NumberClaimed", true, 2026)
    );
}

#[tokio::test]
async fn a_number_that_means_something_else_in_the_database_stops_the_start() {
    let database = TestDatabase::create().await;
    database.event_store().await;
    sqlx::query(
        "UPDATE log.event_types SET type_name = 'NumberPainted' WHERE family = 4 AND type = 1",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let clock = Arc::new(FrozenClock::default());
    let options = Options::new(database.pool.clone());
    let started = PgEventStore::start(
        options,
        clock,
        &TaskTracker::new(),
        CancellationToken::new(),
    )
    .await;
    assert!(
        matches!(started, Err(StartError::TypeChanged { number: 1, .. })),
        "{started:?}"
    );
}

#[tokio::test]
async fn a_missing_position_is_reported_and_nothing_behind_it_shown() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let stream = new_stream();
    store
        .append(append_of(&stream, Expected::NoStream, 5))
        .await
        .unwrap();
    sqlx::raw_sql(
        "ALTER TABLE log.events DISABLE TRIGGER append_only;
         DELETE FROM log.events WHERE position = 3;
         ALTER TABLE log.events ENABLE TRIGGER append_only;",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    // A new node remembers nothing of what was there.
    let reader = database.event_store().await;
    let read = reader.read_all(Position::START, &Family::ALL, 10).await;
    assert!(matches!(read, Err(ReadError::Damaged { .. })), "{read:?}");
    let mut following = reader.follow(Position::START, &Family::ALL);
    assert!(matches!(
        following.next().await,
        Some(Err(ReadError::Damaged { .. }))
    ));
    assert!(following.next().await.is_none());
    let stream = reader.read(&stream, Revision::FIRST, 10).await;
    assert!(
        matches!(stream, Err(ReadError::Damaged { .. })),
        "{stream:?}"
    );
}

#[tokio::test]
async fn a_checkpoint_behind_the_end_of_the_log_is_reported() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let read = store.read_all(Position(1), &Family::ALL, 10).await;
    assert!(
        matches!(
            read,
            Err(ReadError::Damaged {
                position: Position(1),
                ..
            })
        ),
        "{read:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_loses_nothing() {
    let database = TestDatabase::create().await;
    let bytes = append_of(&new_stream(), Expected::NoStream, 1).size();
    for (requests, room) in [(4, 1 << 20), (1000, 4 * bytes + bytes / 2)] {
        let options = Options {
            queue_requests: requests,
            queue_bytes: room,
            ..Options::new(database.pool.clone())
        };
        let store = database.event_store_with(options).await;
        let before = store.head().await.unwrap();
        // Whoever holds the head holds the appender up.
        let mut holding = database.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM log.head FOR UPDATE")
            .execute(&mut *holding)
            .await
            .unwrap();
        let appends: Vec<_> = (0..50)
            .map(|_| append_of(&new_stream(), Expected::NoStream, 1))
            .collect();
        let mut outcomes = futures::stream::FuturesUnordered::new();
        for append in appends {
            outcomes.push(store.append(append));
        }
        let first = outcomes.next().await.unwrap();
        assert!(
            matches!(first, Err(AppendError::Overloaded { retry_after }) if !retry_after.is_zero()),
            "{first:?}"
        );
        holding.rollback().await.unwrap();
        let stored = outcomes
            .filter(|outcome| std::future::ready(outcome.is_ok()))
            .count()
            .await as u64;
        assert!((1..50).contains(&stored));
        assert_eq!(store.head().await.unwrap(), Position(before.0 + stored));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_flushes_what_is_queued_and_refuses_what_comes_after() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let mut holding = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log.head FOR UPDATE")
        .execute(&mut *holding)
        .await
        .unwrap();
    let appends: Vec<_> = (0..20)
        .map(|_| append_of(&new_stream(), Expected::NoStream, 100))
        .collect();
    let waiting = futures::future::join_all(appends.into_iter().map(|append| store.append(append)));
    let stopping = async {
        tokio::join!(database.stop_stores(), async {
            holding.rollback().await.unwrap();
        });
    };
    let (outcomes, ()) = futures::future::join(waiting, stopping).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(store.head().await.unwrap(), Position(2000));
    let late = store
        .append(append_of(&new_stream(), Expected::NoStream, 1))
        .await;
    assert!(matches!(late, Err(AppendError::Unavailable(_))), "{late:?}");
}

#[tokio::test]
async fn appends_that_make_no_sense_are_refused_before_they_reach_the_log() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let stream = new_stream();
    let sound = append_of(&stream, Expected::Any, 2);
    let mut empty = sound.clone();
    empty.writes[0].events.clear();
    let mut twice = sound.clone();
    twice
        .writes
        .push(append_of(&stream, Expected::Any, 1).writes.remove(0));
    let mut same_id = sound.clone();
    same_id.writes[0].events[1].id = same_id.writes[0].events[0].id;
    let mut unknown = sound.clone();
    unknown.writes[0].events[0].type_name = "NumberPainted";
    for append in [events::Append::default(), empty, twice, same_id, unknown] {
        let refused = store.append(append).await;
        assert!(
            matches!(refused, Err(AppendError::Unavailable(_))),
            "{refused:?}"
        );
    }
    let large = append_of(&stream, Expected::Any, MAX_APPEND_EVENTS + 1);
    assert!(matches!(
        store.append(large).await,
        Err(AppendError::TooLarge { .. })
    ));
    assert_eq!(store.head().await.unwrap(), Position::START);
}
