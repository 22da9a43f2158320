//! One process at a time, on a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use locks::{Lock, Task};
use sqlx::{Connection as _, PgConnection};
use testkit::postgres::TestDatabase;

const FOLLOW: Task<'static> = Task::Follow {
    name: "inbox",
    version: 1,
};

#[tokio::test]
async fn one_has_it_and_once_it_is_given_back_the_next_has_it_at_once() {
    let database = TestDatabase::create().await;
    for _ in 0..20 {
        let lock = Lock::try_take(&database.pool, Task::Retention)
            .await
            .unwrap();
        let second = Lock::try_take(&database.pool, Task::Retention)
            .await
            .unwrap();
        assert!(second.is_none());
        lock.unwrap().give_back().await;
    }
}

#[tokio::test]
async fn tasks_are_in_nobodys_way_but_their_own() {
    let database = TestDatabase::create().await;
    let tasks = [
        Task::Sweep,
        Task::KeepTree,
        Task::Expiry,
        Task::Retention,
        Task::Claim,
        FOLLOW,
        Task::Follow {
            name: "inbox",
            version: 2,
        },
        Task::Copy("rebuild_inbox_v1"),
        Task::Copy("verify_inbox_v1"),
    ];
    let mut held = Vec::new();
    for task in tasks {
        let lock = Lock::try_take(&database.pool, task).await.unwrap();
        held.push(lock.unwrap_or_else(|| panic!("{task:?} is taken")));
    }
    let holders = locks::holders(&database.pool, &tasks).await.unwrap();
    assert!(holders.iter().all(Option::is_some), "{holders:?}");
    for lock in held {
        lock.give_back().await;
    }
    let holders = locks::holders(&database.pool, &tasks).await.unwrap();
    assert!(holders.iter().all(Option::is_none), "{holders:?}");
}

#[tokio::test]
async fn a_transaction_has_it_until_its_end() {
    let database = TestDatabase::create().await;
    let mut other = database.pool.acquire().await.unwrap();
    let mut transaction = database.pool.begin().await.unwrap();
    locks::wait_in(&mut transaction, Task::Claim).await.unwrap();
    assert!(!locks::try_take_in(&mut other, Task::Claim).await.unwrap());
    transaction.commit().await.unwrap();
    assert!(locks::try_take_in(&mut other, Task::Claim).await.unwrap());
}

#[tokio::test]
async fn only_a_session_that_shows_no_sign_of_life_is_ended() {
    let database = TestDatabase::create().await;
    let lock = Lock::try_take(&database.pool, FOLLOW)
        .await
        .unwrap()
        .unwrap();
    let mut other = database.pool.acquire().await.unwrap();
    let patient = Duration::from_hours(1);
    assert!(
        !locks::end_stalled(&mut other, FOLLOW, patient)
            .await
            .unwrap()
    );
    assert!(!locks::try_take(&mut other, FOLLOW).await.unwrap());
    assert!(
        locks::end_stalled(&mut other, FOLLOW, Duration::ZERO)
            .await
            .unwrap()
    );
    locks::wait(&mut other, FOLLOW).await.unwrap();
    locks::give_back(&mut other, FOLLOW).await.unwrap();
    drop(lock);
}

#[tokio::test]
async fn lifelines_last_as_long_as_their_sessions_and_are_no_tasks() {
    let database = TestDatabase::create().await;
    let options = database.connect_options();
    let task = Lock::try_take(&database.pool, Task::Sweep).await.unwrap();
    let mut sessions = Vec::new();
    for number in [0, -2, i64::MIN, i64::MAX, i64::MAX] {
        let mut session = PgConnection::connect_with(&options).await.unwrap();
        locks::hold_lifeline(&mut session, number).await.unwrap();
        sessions.push(session);
    }
    let living = async || {
        let mut living = locks::lifelines(&database.pool).await.unwrap();
        living.sort_unstable();
        living
    };
    assert_eq!(living().await, [i64::MIN, -2, 0, i64::MAX, i64::MAX]);
    sessions.remove(0).close().await.unwrap();
    sessions.pop().unwrap().close().await.unwrap();
    let gone = async {
        while living().await != [i64::MIN, -2, i64::MAX] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .expect("Postgres sees soon that a session is over");
    task.unwrap().give_back().await;
}
