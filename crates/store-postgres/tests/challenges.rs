//! Pushed challenges: the last one counts, once, in time.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use events::{Aci, Timestamp};
use store_postgres::PgPushedChallenges;
use testkit::postgres::TestDatabase;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_epoch_millis(1_767_225_600_000 + 1_000 * seconds).unwrap()
}

#[tokio::test]
async fn the_last_challenge_is_taken_once_and_in_time() {
    let database = TestDatabase::create().await;
    let challenges = PgPushedChallenges::new(database.pool.clone());
    let (alice, bob) = (Aci::from_random([1; 16]), Aci::from_random([2; 16]));
    let take =
        async |aci, fill: u8, seconds| challenges.take(aci, [fill; 16], at(seconds)).await.unwrap();
    challenges.remember(alice, [1; 16], at(300)).await.unwrap();
    challenges.remember(alice, [2; 16], at(300)).await.unwrap();
    challenges.remember(bob, [3; 16], at(400)).await.unwrap();
    assert!(!take(alice, 1, 0).await, "replaced");
    assert!(!take(bob, 2, 0).await, "of somebody else");
    assert!(take(alice, 2, 300).await, "at the last moment");
    assert!(!take(alice, 2, 300).await, "taken");
    challenges.remember(alice, [4; 16], at(300)).await.unwrap();
    assert!(!take(alice, 4, 301).await, "too late");
    assert!(take(bob, 3, 301).await);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM abuse.pushed_challenges")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "what is over is forgotten");
}

#[tokio::test]
async fn of_many_callers_one_takes_it() {
    let database = TestDatabase::create().await;
    let challenges = PgPushedChallenges::new(database.pool.clone());
    let alice = Aci::from_random([1; 16]);
    challenges.remember(alice, [1; 16], at(300)).await.unwrap();
    let takes = (0..8).map(|_| challenges.take(alice, [1; 16], at(0)));
    let answers = futures::future::join_all(takes).await;
    let told_so = answers.iter().filter(|answer| *answer.as_ref().unwrap());
    assert_eq!(told_so.count(), 1);
}
