//! What nodes remember together, on a real Postgres.

use std::sync::Arc;
use std::time::Duration;

use api::limits::buckets::{MemoryBuckets, SharedBuckets};
use api::limits::rates::{Limit, Rate, Scope, Taken};
use api::ports::outcomes::{LIFETIME, Outcomes as _};
use bytes::Bytes;
use doors_postgres::{PgBuckets, PgOutcomes, sweep};
use events::Timestamp;
use testkit::postgres::TestDatabase;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_epoch_millis(1_767_225_600_000 + millis).expect("within the calendar")
}

#[tokio::test]
async fn every_shared_bucket_counts_in_the_database_as_it_does_in_memory() {
    let database = TestDatabase::create().await;
    let stores: [Arc<dyn SharedBuckets>; 2] = [
        Arc::new(PgBuckets::new(database.pool.clone())),
        Arc::new(MemoryBuckets::default()),
    ];
    let shared = Limit::ALL
        .iter()
        .filter(|limit| limit.scope() == Scope::Shared);
    for (index, limit) in shared.enumerate() {
        let bucket = [u8::try_from(index).unwrap(); 32];
        let rate = limit.default_rate();
        let period = u64::try_from(rate.period.as_millis()).unwrap();
        let calls = [
            (0, rate.size),
            (period - 1, 1),
            (period, 1),
            (period, 1),
            (period * 2 + period / 2, 1),
            (period * 3 - 1, 1),
            (period * (rate.size + 9), rate.size),
            (period * (rate.size + 9), rate.size + 1),
        ];
        let mut outcomes = [Vec::new(), Vec::new()];
        for (store, outcomes) in stores.iter().zip(&mut outcomes) {
            for (millis, amount) in calls {
                let taken = store.take(bucket, rate, amount, at(millis)).await.unwrap();
                outcomes.push(taken);
            }
            store.clear(bucket).await.unwrap();
            let full = store.take(bucket, rate, rate.size, at(0)).await.unwrap();
            outcomes.push(full);
        }
        assert_eq!(outcomes[0], outcomes[1], "{}", limit.name());
        assert!(matches!(outcomes[0][1], Taken::No(_)), "{}", limit.name());
        assert!(matches!(outcomes[0][2], Taken::Yes(_)), "{}", limit.name());
    }
}

#[tokio::test]
async fn nodes_that_take_at_once_take_no_more_than_there_is() {
    let database = TestDatabase::create().await;
    let nodes = [(); 4].map(|()| PgBuckets::new(database.pool.clone()));
    let rate = Rate {
        size: 6,
        period: Duration::from_secs(30),
    };
    let calls = (0..40).map(|n| SharedBuckets::take(&nodes[n % 4], [1; 32], rate, 1, at(0)));
    let taken = futures::future::join_all(calls).await;
    let allowed = taken
        .into_iter()
        .filter(|taken| matches!(taken, Ok(Taken::Yes(_))))
        .count();
    assert_eq!(allowed, 6);
}

#[tokio::test]
async fn the_first_answer_counts_until_it_expires() {
    let database = TestDatabase::create().await;
    let outcomes = PgOutcomes::new(database.pool.clone());
    let begun = outcomes.begin([1; 32], [2; 32], at(0)).await.unwrap();
    assert_eq!(
        (begun.at, begun.fingerprint, begun.answer),
        (at(0), [2; 32], None)
    );
    let again = outcomes.begin([1; 32], [3; 32], at(5)).await.unwrap();
    assert_eq!((again.at, again.fingerprint), (at(0), [2; 32]));
    let first = outcomes
        .settle([1; 32], Bytes::from_static(b"one"))
        .await
        .unwrap();
    let second = outcomes
        .settle([1; 32], Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!((&first[..], &second[..]), (&b"one"[..], &b"one"[..]));
    let known = outcomes.begin([1; 32], [2; 32], at(10)).await.unwrap();
    assert_eq!(known.answer.as_deref(), Some(&b"one"[..]));

    let later = at(u64::try_from(LIFETIME.as_millis()).unwrap());
    let anew = outcomes.begin([1; 32], [3; 32], later).await.unwrap();
    assert_eq!(
        (anew.at, anew.fingerprint, anew.answer),
        (later, [3; 32], None)
    );
}

#[tokio::test]
async fn what_is_over_is_swept() {
    let database = TestDatabase::create().await;
    let (buckets, outcomes) = (
        PgBuckets::new(database.pool.clone()),
        PgOutcomes::new(database.pool.clone()),
    );
    let rate = Limit::Registration.default_rate();
    SharedBuckets::take(&buckets, [1; 32], rate, 2, at(0))
        .await
        .unwrap();
    outcomes.begin([1; 32], [2; 32], at(0)).await.unwrap();
    assert_eq!(sweep(&database.pool, at(59_999)).await.unwrap(), 0);
    assert_eq!(sweep(&database.pool, at(60_000)).await.unwrap(), 1);
    let day = at(u64::try_from(LIFETIME.as_millis()).unwrap());
    assert_eq!(sweep(&database.pool, day).await.unwrap(), 1);
}
