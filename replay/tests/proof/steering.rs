use std::time::Duration;

use events::operator::OperatorEvent;
use events::{AnyEvent, EventStore as _, Family, Position};
use projections::{MODELS, Model};
use replay::rebuild::{Limits, rebuild, rebuild_all};
use replay::steer::{Wish, steer};
use replay::verify::verify;
use replay::{Environment, ReplayError};
use sqlx::{Postgres, Transaction};
use testkit::history::History;
use testkit::history::samples::Address;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::support::{LONG, World, random_history};

/// A query on a model's table that does not end: it keeps a rebuild from its last step.
async fn long_query(world: &World) -> Transaction<'static, Postgres> {
    let mut transaction = world.database.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM read_models.inbox_v1")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction
}

type Rebuilding = JoinHandle<Result<replay::rebuild::Rebuilt, ReplayError>>;

/// Starts a rebuild, and waits until others can see it.
async fn under_way(world: &World) -> Rebuilding {
    let environment: Environment = world.environment.clone();
    let rebuilding =
        TaskTracker::new().spawn(async move { rebuild(&environment, Model::Inbox).await });
    until(world, |it| {
        it.goal > Position::START && it.position == it.goal
    })
    .await;
    rebuilding
}

async fn until(world: &World, wanted: impl Fn(&subscription::Rebuild) -> bool) {
    let look = async {
        loop {
            let rebuilds = subscription::rebuilds(&world.database.pool).await.unwrap();
            if rebuilds.get("inbox").is_some_and(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, look)
        .await
        .expect("the rebuild comes to stand as wanted");
}

#[tokio::test]
async fn a_rebuild_rests_and_goes_on_as_others_wish() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    let workers = world.workers().await;
    let query = long_query(&world).await;
    let rebuilding = under_way(&world).await;
    let told = steer(
        &world.environment,
        &[Model::Inbox, Model::Devices],
        Wish::Pause,
    )
    .await;
    assert_eq!(
        told.unwrap(),
        [Model::Inbox],
        "the other one is not being rebuilt"
    );
    until(&world, |it| it.paused && it.rate == 0).await;
    // The attempt that was under way has given up after this.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    query.rollback().await.unwrap();
    // It would be done within a second now, if it did not rest.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!rebuilding.is_finished());
    steer(&world.environment, &[Model::Inbox], Wish::Resume)
        .await
        .unwrap();
    tokio::time::timeout(LONG, rebuilding)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        subscription::rebuilds(&world.database.pool)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(world.residue().await.is_empty());
    let kinds: Vec<_> = world
        .store
        .read_all(Position::START, &[Family::Operator], 100)
        .await
        .unwrap()
        .events
        .iter()
        .map(|event| event.type_name.to_string())
        .collect();
    assert_eq!(
        kinds,
        ["RebuildPaused", "RebuildResumed", "ProjectionRebuilt"]
    );
    workers.stop().await;
}

/// Waits until a rebuild has told twice how far it is: what was wished before, it has heard by then.
async fn hears(world: &World) {
    let told = async || {
        let sql = "SELECT told_at::text FROM projection.rebuilds WHERE model = 'inbox'";
        let told: String = sqlx::query_scalar(sql)
            .fetch_one(&world.database.pool)
            .await
            .unwrap();
        told
    };
    let twice = async {
        for _ in 0..2 {
            let before = told().await;
            while told().await == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(LONG, twice)
        .await
        .expect("it tells how far it is");
}

#[tokio::test]
async fn a_rebuild_that_rests_while_it_fills_goes_on_to_the_same_rows() {
    let world = World::new().await;
    let mut history = History::default();
    // More than are read at once.
    for n in 0..5_000 {
        history.message(Address(1, 1, 1), n, b"x");
    }
    world.append(&history).await;
    world.workers().await.stop().await;
    // Nobody reads the log meanwhile.
    let mut held = world.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE log.segments")
        .execute(&mut *held)
        .await
        .unwrap();
    let environment: Environment = world.environment.clone();
    let rebuilding =
        TaskTracker::new().spawn(async move { rebuild(&environment, Model::Inbox).await });
    until(&world, |it| it.goal > Position::START).await;
    let told = steer(&world.environment, &[Model::Inbox], Wish::Pause).await;
    assert_eq!(told.unwrap(), [Model::Inbox]);
    hears(&world).await;
    held.rollback().await.unwrap();
    // It reads on to the next place where it may rest.
    until(&world, |it| it.position > Position::START).await;
    hears(&world).await;
    until(&world, |it| {
        it.paused && it.rate == 0 && it.position < it.goal
    })
    .await;
    assert!(!rebuilding.is_finished());
    steer(&world.environment, &[Model::Inbox], Wish::Resume)
        .await
        .unwrap();
    let rebuilt = tokio::time::timeout(LONG, rebuilding).await.unwrap();
    assert_eq!(rebuilt.unwrap().unwrap().events, 5_000);
    let verified = verify(&world.environment, Model::Inbox).await.unwrap();
    assert!(verified.is_clean());
    assert!(world.residue().await.is_empty());
}

#[tokio::test]
async fn a_rebuild_that_others_cancel_leaves_the_live_rows_and_no_residue() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    let workers = world.workers().await;
    let rows = world.rows(Model::Inbox).await;
    let query = long_query(&world).await;
    let rebuilding = under_way(&world).await;
    steer(&world.environment, &[Model::Inbox], Wish::Cancel)
        .await
        .unwrap();
    let outcome = tokio::time::timeout(LONG, rebuilding)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(outcome, Err(ReplayError::Cancelled)),
        "{outcome:?}"
    );
    query.rollback().await.unwrap();
    assert!(world.residue().await.is_empty());
    assert!(
        subscription::rebuilds(&world.database.pool)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(world.rows(Model::Inbox).await, rows);
    let steered = steer(&world.environment, MODELS, Wish::Pause)
        .await
        .unwrap();
    assert!(steered.is_empty(), "nothing is being rebuilt any more");
    workers.stop().await;
}

#[tokio::test]
async fn what_a_killed_rebuild_has_left_is_swept_and_one_at_work_is_not() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    let workers = world.workers().await;
    let query = long_query(&world).await;
    let killed = under_way(&world).await;
    assert_eq!(
        replay::sweep(&world.database.pool).await.unwrap(),
        0,
        "it is at work"
    );
    assert_eq!(world.residue().await, ["rebuild_inbox_v1"]);
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let swept = async {
        // Postgres takes a moment to see that the other side is gone.
        while replay::sweep(&world.database.pool).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, swept).await.unwrap();
    assert!(world.residue().await.is_empty());
    assert!(
        subscription::rebuilds(&world.database.pool)
            .await
            .unwrap()
            .is_empty()
    );
    query.rollback().await.unwrap();
    workers.stop().await;
}

/// All from one pass, and with so little room that most of it is written row by row.
#[tokio::test]
async fn rows_are_the_same_whether_they_were_kept_in_memory_or_written_as_they_came() {
    let world = World::new().await;
    world.append(&random_history(9_000)).await;
    let workers = world.workers().await;
    let mut before = Vec::new();
    for model in MODELS {
        before.push(world.rows(*model).await);
    }
    for rows_in_memory in [usize::MAX, 1] {
        let limits = Limits { rows_in_memory };
        let outcomes = rebuild_all(&world.environment, MODELS, limits)
            .await
            .unwrap();
        for (outcome, (model, rows)) in outcomes.into_iter().zip(MODELS.iter().zip(&before)) {
            assert_eq!(outcome.unwrap().model, *model);
            assert_eq!(
                &world.rows(*model).await,
                rows,
                "{model} with {rows_in_memory} rows in memory"
            );
        }
    }
    assert!(world.residue().await.is_empty());
    let recorded = world
        .store
        .read_all(Position::START, &[Family::Operator], 100)
        .await
        .unwrap();
    let rebuilt = |event: &AnyEvent| {
        matches!(
            event,
            AnyEvent::Operator(OperatorEvent::ProjectionRebuilt(_))
        )
    };
    let recorded = recorded
        .events
        .iter()
        .map(|event| events::codec::Fact::decode(event).unwrap());
    assert_eq!(
        recorded.filter(|fact| rebuilt(&fact.event)).count(),
        2 * MODELS.len()
    );
    workers.stop().await;
}
