//! Death: of Postgres, and of the process that appends. Nothing that was acknowledged is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::store::{AppendError, Appended, EventStore, Expected, Position};
use events::stream::Family;
use futures::StreamExt as _;
use futures::future::{join_all, join3};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgPoolOptions;
use store_postgres::embedded::{self, Cluster};
use store_postgres::{MIGRATOR, Options, PgEventStore};
use support::{Acknowledged, assert_log_holds, persist};
use testkit::contract::events::{append_of, followed, new_stream};
use testkit::environment::FrozenClock;
use testkit::postgres::TestDatabase;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const WRITERS: u64 = 16;
const KILLS: u64 = 3;
const APPENDS_BETWEEN_KILLS: u64 = 400;

/// Kills the postmaster and every process it has started, as a power cut would end them.
fn kill_postgres(cluster: &Cluster) {
    let postmaster = cluster
        .postmaster()
        .expect("a running cluster has a pid file");
    let children =
        std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
    let children = children.unwrap_or_default();
    let pids = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    for pid in std::iter::once(postmaster).chain(pids) {
        // A child may have ended by itself.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_append_is_lost_when_postgres_is_killed_under_load() {
    let folder = tempfile::Builder::new()
        .prefix("heliograph-crash-")
        .tempdir_in("/var/tmp")
        .unwrap();
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let cluster = Cluster::start(&embedded::Options::new(folder.path().join("postgres")))
        .await
        .unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(cluster.connect_options().clone())
        .await
        .unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let options = Options {
        reconnect_within: Duration::from_mins(1),
        ..Options::new(pool)
    };
    let clock = Arc::new(FrozenClock::default());
    let store = PgEventStore::start(options, clock, &tracker, shutdown.clone())
        .await
        .unwrap();

    let total = (KILLS + 1) * APPENDS_BETWEEN_KILLS;
    let (begun, acknowledged, progress) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
    let writer = async |_| {
        let mut log = Acknowledged::new();
        while begun.fetch_add(1, Ordering::SeqCst) < total {
            log.extend(persist(&store, append_of(&new_stream(), Expected::NoStream, 1)).await);
            acknowledged.fetch_add(1, Ordering::SeqCst);
            progress.notify_one();
        }
        log
    };
    let killer = async {
        for kill in 1..=KILLS {
            while acknowledged.load(Ordering::SeqCst) < kill * APPENDS_BETWEEN_KILLS {
                progress.notified().await;
            }
            kill_postgres(&cluster);
        }
    };
    let follower = followed(&store, Position::START, &Family::ALL, Position(total));
    let (logs, (), live) = join3(join_all((0..WRITERS).map(writer)), killer, follower).await;
    let acknowledged: Acknowledged = logs.into_iter().flatten().collect();
    assert_eq!(acknowledged.len() as u64, total);
    let replayed = assert_log_holds(&store, &acknowledged, 0).await;
    assert_eq!(live, replayed);
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    cluster.stop().await.unwrap();
}

#[test]
fn what_a_killed_node_acknowledged_is_there_and_the_rest_can_be_repeated() {
    let here = tokio::runtime::Runtime::new().unwrap();
    let database = here.block_on(TestDatabase::create());
    let appends: Vec<_> = (0..300)
        .map(|_| append_of(&new_stream(), Expected::NoStream, 2))
        .collect();
    let (acknowledged, mut acknowledgements) =
        tokio::sync::mpsc::unbounded_channel::<(usize, Appended)>();
    // A node with a runtime of its own, which ends between two polls of its tasks: nothing is flushed.
    let node = tokio::runtime::Runtime::new().unwrap();
    let store = node.block_on(async {
        let pool = PgPoolOptions::new()
            .connect_with(database.connect_options())
            .await
            .unwrap();
        let (clock, shutdown) = (Arc::new(FrozenClock::default()), CancellationToken::new());
        PgEventStore::start(Options::new(pool), clock, &TaskTracker::new(), shutdown)
            .await
            .unwrap()
    });
    let work = TaskTracker::new();
    for (number, append) in appends.iter().cloned().enumerate() {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        work.spawn_on(
            async move {
                if let Ok(appended) = store.append(append).await {
                    drop(acknowledged.send((number, appended)));
                }
            },
            node.handle(),
        );
        if number == 150 {
            // Somewhere in the midst of it.
            acknowledgements.blocking_recv().unwrap();
        }
    }
    node.shutdown_background();
    drop(acknowledged);
    let answers: Vec<_> = std::iter::from_fn(|| acknowledgements.blocking_recv()).collect();

    here.block_on(async {
        let successor = database.event_store().await;
        for (number, first) in answers {
            let again = successor.append(appends[number].clone()).await.unwrap();
            assert_eq!((again.position, again.repeated), (first.position, true));
        }
        let outcomes = join_all(
            appends
                .iter()
                .map(|append| successor.append(append.clone())),
        )
        .await;
        assert!(outcomes.iter().all(Result::is_ok));
        let head = successor.head().await.unwrap();
        assert_eq!(head, Position(2 * appends.len() as u64));
        followed(&successor, Position::START, &Family::ALL, head).await;
    });
}

#[tokio::test]
async fn an_append_fails_with_an_unknown_outcome_when_postgres_stays_away() {
    let database = TestDatabase::create().await;
    let options = Options {
        reconnect_within: Duration::ZERO,
        ..Options::new(database.pool.clone())
    };
    let store = database.event_store_with(options).await;
    let append = append_of(&new_stream(), Expected::NoStream, 1);
    store
        .append(append_of(&new_stream(), Expected::NoStream, 1))
        .await
        .unwrap();
    support::kill_appenders(&database.pool).await;
    let outcome = store.append(append.clone()).await;
    assert!(
        matches!(outcome, Err(AppendError::Unavailable(_))),
        "{outcome:?}"
    );
    assert!(store.append(append).await.is_ok());
    let mut following = store.follow(Position::START, &Family::ALL);
    assert_eq!(following.next().await.unwrap().unwrap().events.len(), 2);
}
