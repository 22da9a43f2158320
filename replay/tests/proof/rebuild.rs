use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use events::operator::OperatorEvent;
use events::{AnyEvent, EventStore as _, Family, Position};
use projections::inbox::{InboxCursor, PageLimits};
use projections::{MODELS, Model};
use replay::ReplayError;
use replay::rebuild::rebuild;
use replay::verify::verify;
use testkit::history::History;
use testkit::history::samples::{self, Address};
use tokio_util::task::TaskTracker;

use crate::support::{World, random_history};

#[tokio::test]
async fn a_rebuilt_read_model_has_the_same_rows_and_indexes_and_the_log_says_who_did_it() {
    let world = World::new().await;
    world.append(&random_history(800)).await;
    let workers = world.workers().await;
    let indexes = async || -> Vec<String> {
        let sql = "SELECT indexname || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'read_models' ORDER BY 1";
        sqlx::query_scalar(sql)
            .fetch_all(&world.database.pool)
            .await
            .unwrap()
    };
    let before = indexes().await;
    for model in MODELS {
        let rows = world.rows(*model).await;
        let rebuilt = rebuild(&world.environment, *model).await.unwrap();
        assert!(rebuilt.events > 0);
        assert_eq!(world.rows(*model).await, rows, "{model}");
    }
    assert_eq!(indexes().await, before);
    assert!(world.residue().await.is_empty());
    let recorded = world
        .store
        .read_all(Position::START, &[Family::Operator], 100)
        .await
        .unwrap()
        .events;
    assert_eq!(recorded.len(), MODELS.len());
    let fact = events::codec::Fact::decode(&recorded[0]).unwrap();
    assert_eq!(fact.metadata.actor.to_string(), "operator:eve");
    let AnyEvent::Operator(OperatorEvent::ProjectionRebuilt(event)) = fact.event else {
        panic!("{fact:?}")
    };
    assert_eq!(&*event.model, MODELS[0].name());
    workers.stop().await;
}

/// What is kept in memory is copied column by column; one that is forgotten there would be empty after a rebuild.
#[tokio::test]
async fn what_is_copied_fills_every_column() {
    let world = World::new().await;
    for model in MODELS {
        let Some(rows) = model.projection().in_memory() else {
            continue;
        };
        for copy in rows.copies() {
            let expected: Vec<String> = sqlx::query_scalar(
                "SELECT column_name::text FROM information_schema.columns
                 WHERE table_schema = 'read_models' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY 1",
            )
            .bind(copy.table)
            .fetch_all(&world.database.pool)
            .await
            .unwrap();
            let mut copied = copy.columns.to_vec();
            copied.sort_unstable();
            assert_eq!(copied, expected, "{model}");
        }
    }
}

#[tokio::test]
async fn a_rebuild_makes_right_what_was_changed_by_hand_and_the_worker_goes_on() {
    let world = World::new().await;
    let mut history = random_history(400);
    world.append(&history).await;
    let workers = world.workers().await;
    let rows = world.rows(Model::Inbox).await;
    world.execute("DELETE FROM read_models.inbox_v1").await;
    rebuild(&world.environment, Model::Inbox).await.unwrap();
    assert_eq!(world.rows(Model::Inbox).await, rows);
    let known = history.facts().len();
    history.message(Address(9, 1, 1), 900, b"hello");
    history
        .append_from(known, &*world.store, &*world.keys)
        .await;
    workers.reached(world.store.head().await.unwrap()).await;
    assert_eq!(
        workers
            .queries
            .inbox()
            .count(Address(9, 1, 1).into())
            .await
            .unwrap(),
        1
    );
    workers.stop().await;
}

/// Messages flow to one device, are read page by page and acknowledged, while everything is rebuilt again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rebuilding_while_messages_flow_fails_no_query_and_loses_or_repeats_nothing() {
    const MESSAGES: u32 = 1_500;
    let to = Address(1, 1, 1);
    let world = Arc::new(World::new().await);
    world.append(&random_history(3_000)).await;
    let workers = Arc::new(world.workers().await);
    let base = u32::try_from(world.store.head().await.unwrap().0).unwrap();
    let flowing = Arc::new(AtomicBool::new(true));
    let tasks = TaskTracker::new();

    let (sender, appended) = (world.clone(), flowing.clone());
    tasks.spawn(async move {
        let mut history = random_history(3_000);
        for n in 0..MESSAGES {
            let known = history.facts().len();
            history.message(to, base + n, b"hello");
            history
                .append_from(known, &*sender.store, &*sender.keys)
                .await;
        }
        appended.store(false, Ordering::SeqCst);
    });
    let queries = workers.queries.clone();
    let still = flowing.clone();
    let reader = tasks.spawn(async move {
        let mut seen = Vec::new();
        let mut after: Option<InboxCursor> = None;
        let limits = PageLimits {
            rows: 50,
            bytes: 1 << 20,
        };
        while still.load(Ordering::SeqCst) || seen.len() < MESSAGES as usize {
            let page = queries
                .inbox()
                .page(to.into(), after, limits)
                .await
                .expect("no query fails");
            queries
                .devices()
                .of(samples::aci(1))
                .await
                .expect("no query fails");
            queries
                .accounts()
                .exists(samples::aci(1).into())
                .await
                .expect("no query fails");
            after = page.reached().or(after);
            let new = page.messages.iter().map(|message| message.entry.clone());
            seen.extend(
                new.filter(|entry| entry.cursor.0.0 > u64::from(base))
                    .map(|entry| entry.guid),
            );
        }
        seen
    });
    let mut rebuilds = 0;
    while flowing.load(Ordering::SeqCst) || rebuilds < MODELS.len() {
        rebuild(&world.environment, MODELS[rebuilds % MODELS.len()])
            .await
            .unwrap();
        rebuilds += 1;
    }
    let seen = tokio::time::timeout(crate::support::LONG, reader)
        .await
        .unwrap()
        .unwrap();
    let expected: Vec<_> = (0..MESSAGES).map(|n| samples::guid(base + n)).collect();
    assert_eq!(
        seen.iter().collect::<HashSet<_>>().len(),
        seen.len(),
        "none is repeated"
    );
    assert_eq!(seen, expected, "none is lost, in order");
    workers.reached(world.store.head().await.unwrap()).await;
    for model in MODELS {
        let verified = verify(&world.environment, *model).await.unwrap();
        assert!(verified.is_clean(), "{verified:?}");
    }
    tasks.close();
    tasks.wait().await;
    Arc::into_inner(workers).unwrap().stop().await;
}

#[tokio::test]
async fn a_cancelled_rebuild_leaves_the_live_rows_and_no_residue() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    let workers = world.workers().await;
    let rows = world.rows(Model::Inbox).await;
    world.environment.shutdown.cancel();
    let cancelled = rebuild(&world.environment, Model::Inbox).await;
    assert!(
        matches!(cancelled, Err(ReplayError::Cancelled)),
        "{cancelled:?}"
    );
    assert!(world.residue().await.is_empty());
    assert_eq!(world.rows(Model::Inbox).await, rows);
    workers.stop().await;
}

#[tokio::test]
async fn what_a_killed_rebuild_has_left_is_cleared_away_by_the_next_one() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    let workers = world.workers().await;
    world.execute("CREATE SCHEMA rebuild_inbox_v1").await;
    world
        .execute("CREATE TABLE rebuild_inbox_v1.inbox_v1 (left_over integer)")
        .await;
    rebuild(&world.environment, Model::Inbox).await.unwrap();
    assert!(world.residue().await.is_empty());
    workers.stop().await;
}

#[tokio::test]
async fn events_that_are_parked_are_passed_over_by_rebuild_and_verify() {
    let world = World::new().await;
    let mut history = History::default();
    for n in 1..=3 {
        history.message(Address(1, 1, 1), n, b"hello");
    }
    world.append(&history).await;
    let workers = world.workers().await;
    let parked =
        replay::parking::park(&world.environment, "inbox", Position(2), "it is cursed").await;
    let parked = parked.unwrap();
    assert_eq!(parked, Position(4), "the log says so");
    assert!(
        !verify(&world.environment, Model::Inbox)
            .await
            .unwrap()
            .is_clean(),
        "it was applied before"
    );
    rebuild(&world.environment, Model::Inbox).await.unwrap();
    assert_eq!(
        workers
            .queries
            .inbox()
            .count(Address(1, 1, 1).into())
            .await
            .unwrap(),
        2
    );
    assert!(
        verify(&world.environment, Model::Inbox)
            .await
            .unwrap()
            .is_clean()
    );
    let unparked =
        replay::parking::unpark(&world.environment, "inbox", Position(2), "mended").await;
    assert_eq!(unparked.unwrap().unwrap().rebuild, Some(Model::Inbox));
    rebuild(&world.environment, Model::Inbox).await.unwrap();
    assert_eq!(
        workers
            .queries
            .inbox()
            .count(Address(1, 1, 1).into())
            .await
            .unwrap(),
        3
    );
    workers.stop().await;
}
