//! What others do to the database while the store appends: slow, rolled-back and killed transactions, lost answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;

use events::store::{EventStore, Position, Recorded, Revision};
use events::stream::Family;
use futures::future::{join_all, join3};
use proxy::Proxy;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};
use store_postgres::Options;
use support::{Acknowledged, assert_log_holds, kill_appenders, write_steadily};
use testkit::contract::events::{append_of, followed, ids, new_stream, whole};
use testkit::postgres::TestDatabase;
use tokio_util::task::TaskTracker;

const WRITERS: usize = 64;
const ROUNDS: usize = 12;

/// Events that [`write_steadily`] appends in [`ROUNDS`] rounds, of all writers.
const EVENTS: u64 = (WRITERS * ROUNDS / 3 * (1 + 5 + 2)) as u64;

/// How often another program appends by hand: for a hundred appends of ours about once and a rollback.
const BY_HAND: u16 = 8;

/// Appends by hand as another program would, holding the head for 50 to 500 ms; then does so again, and takes it back.
async fn meddle(database: &TestDatabase, turn: u16) {
    let seconds = 0.05 + 0.45 * f64::from(turn) / f64::from(BY_HAND - 1);
    for round in 0..2 {
        let mut connection = PgConnection::connect_with(&database.connect_options())
            .await
            .unwrap();
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query(
            "WITH moved AS (UPDATE log.head SET position = position + 1 RETURNING position)
             INSERT INTO log.events (position, revision, recorded_at, event_id, family, type, stream, data, metadata)
             SELECT position, 0, 0, gen_random_uuid(), 4, 1, gen_random_uuid()::text, '{}', '{}' FROM moved",
        )
        .execute(&mut *transaction)
        .await
        .unwrap();
        sqlx::query("SELECT pg_sleep($1)")
            .bind(seconds)
            .execute(&mut *transaction)
            .await
            .unwrap();
        match round % 2 {
            0 => transaction.commit().await.unwrap(),
            _ => transaction.rollback().await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_stay_exact_among_slow_rolled_back_and_killed_transactions() {
    let database = TestDatabase::create().await;
    let store = database.event_store().await;
    let elsewhere = database.event_store().await;
    let end = Position(EVENTS + u64::from(BY_HAND));
    let writing = join_all((0..WRITERS).map(|_| write_steadily(&store, ROUNDS)));
    let meddling = async {
        for turn in 0..BY_HAND {
            meddle(&database, turn).await;
            kill_appenders(&database.pool).await;
        }
    };
    // On the node that writes, on one that is notified, and page by page without being told.
    let following = join3(
        followed(&store, Position::START, &Family::ALL, end),
        followed(&elsewhere, Position::START, &Family::ALL, end),
        polled(&elsewhere, end),
    );
    let (acknowledged, (), (live, notified, polled)) = join3(writing, meddling, following).await;
    let acknowledged: Acknowledged = acknowledged.into_iter().flatten().collect();
    assert_eq!(acknowledged.len() as u64, EVENTS);
    let replayed = assert_log_holds(&store, &acknowledged, usize::from(BY_HAND)).await;
    assert_eq!(live, replayed);
    assert_eq!(notified, replayed);
    assert_eq!(polled, replayed);
}

/// Everything up to `end`, as one sees it who asks again and again.
async fn polled(store: &dyn EventStore, end: Position) -> Vec<Recorded> {
    let mut events = Vec::new();
    let mut reached = Position::START;
    while reached < end {
        let page = store.read_all(reached, &Family::ALL, 50).await.unwrap();
        reached = page.through;
        events.extend(page.events);
        tokio::task::yield_now().await;
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_dies_with_its_backend_is_tried_again() {
    let database = TestDatabase::create().await;
    sqlx::raw_sql(
        "CREATE SEQUENCE deaths;
         CREATE FUNCTION die_once() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('deaths') = 1 THEN
                 PERFORM pg_terminate_backend(pg_backend_pid());
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER die_once AFTER INSERT ON log.events FOR EACH STATEMENT EXECUTE FUNCTION die_once();",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let store = database.event_store().await;
    let stream = new_stream();
    let appended = store
        .append(append_of(&stream, events::Expected::NoStream, 3))
        .await
        .unwrap();
    assert!(!appended.repeated);
    assert_eq!(
        (appended.position, appended.revisions),
        (Position(3), vec![Revision(2)])
    );
    let deaths: i64 = sqlx::query_scalar("SELECT last_value FROM deaths")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(deaths, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_found_and_answered_truthfully() {
    let database = TestDatabase::create().await;
    let tracker = TaskTracker::new();
    let proxy = Proxy::before(database.connect_options().get_port(), &tracker).await;
    let through_proxy = database.connect_options().port(proxy.port);
    let pool = PgPoolOptions::new()
        .connect_with(through_proxy)
        .await
        .unwrap();
    let store = database.event_store_with(Options::new(pool)).await;
    let stream = new_stream();
    store
        .append(append_of(&stream, events::Expected::NoStream, 1))
        .await
        .unwrap();
    for round in 1..=3_u64 {
        proxy.lose_next_answer();
        let expected = events::Expected::Exact(Revision(round - 1));
        let append = append_of(&stream, expected, 1);
        let appended = store.append(append.clone()).await.unwrap();
        assert_eq!(
            proxy.lost() as u64,
            round,
            "the answer was not lost: nothing is tested"
        );
        // It was stored by this very call, so it is no repeat, and neither is it stored twice.
        assert!(!appended.repeated);
        assert_eq!(
            (appended.position, appended.revisions),
            (Position(round + 1), vec![Revision(round)])
        );
        let stored: Vec<_> = whole(&store, &stream)
            .await
            .iter()
            .map(|event| event.id)
            .collect();
        assert_eq!(stored.len() as u64, round + 1);
        assert_eq!(stored.last(), ids(&append).last());
        assert!(store.append(append).await.unwrap().repeated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_spoilt_append_does_not_spoil_its_batch() {
    let database = TestDatabase::create().await;
    let store = Arc::new(database.event_store().await);
    // Text in Postgres has no NUL.
    let spoilt = events::StreamId::operator("a\0b");
    let appends: Vec<_> = (0..20)
        .map(|number| match number {
            7 => append_of(&spoilt, events::Expected::NoStream, 1),
            _ => append_of(&new_stream(), events::Expected::NoStream, 1),
        })
        .collect();
    let outcomes = join_all(appends.into_iter().map(|append| store.append(append))).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), number != 7, "{outcome:?}");
    }
    assert_eq!(store.head().await.unwrap(), Position(19));
}
