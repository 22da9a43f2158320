//! The store of this crate: one-event appends to distinct streams, each with its expected revision.

use std::sync::Arc;

use events::ids::{EventId, Pni};
use events::store::{Append, EventStore, Expected, NewEvent, Revision};
use events::stream::StreamId;
use sqlx::postgres::PgPoolOptions;
use store_postgres::{MIGRATOR, Options, PgEventStore};
use testkit::environment::FrozenClock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{EVENTS_A_STREAM, Outcome, RECORD, Setting, closed_loop};

const METADATA: &str = concat!(
    r#"{"at":1767225600000,"actor":"device:9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d.2","#,
    r#""request":"018f6c7e-1a2b-7c3d-8e4f-5a6b7c8d9e0f","v":1}"#
);

pub(super) async fn run(setting: &Setting<'_>, database: &str) -> Outcome {
    let options = setting.cluster.connect_options().clone().database(database);
    let pool = PgPoolOptions::new()
        .connect_with(options)
        .await
        .expect("the database is new");
    MIGRATOR.run(&pool).await.expect("the database is empty");
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let clock = Arc::new(FrozenClock::default());
    let store = PgEventStore::start(
        Options::new(pool.clone()),
        clock,
        &tracker,
        shutdown.clone(),
    )
    .await
    .expect("the database is migrated");
    let (outcome, acknowledged) = closed_loop(setting, move |writer, number| {
        let store = store.clone();
        async move {
            store
                .append(append(writer, number))
                .await
                .expect("nobody else writes to this stream");
        }
    })
    .await;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM log.events")
        .fetch_one(&pool)
        .await
        .expect("readable");
    assert_eq!(
        usize::try_from(stored),
        Ok(acknowledged),
        "rows, against acknowledged appends"
    );
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    pool.close().await;
    outcome
}

/// The `number`th event of a writer.
fn append(writer: usize, number: u64) -> Append {
    let (stream, revision) = (number / EVENTS_A_STREAM, number % EVENTS_A_STREAM);
    let expected = match revision.checked_sub(1) {
        None => Expected::NoStream,
        Some(last) => Expected::Exact(Revision(last)),
    };
    let stream = StreamId::number(Pni::from_random(mixed(writer as u64, stream)));
    let event = NewEvent {
        id: EventId::from_random(ordered(writer as u64, number)),
        type_name: "NumberClaimed",
        data: RECORD.into(),
        metadata: METADATA.into(),
        payloads: vec![],
    };
    Append::one(stream, expected, vec![event])
}

/// Bytes without order, like those of a random id.
fn mixed(a: u64, b: u64) -> [u8; 16] {
    let mix = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    let high = mix((a << 40) ^ b ^ 0x9e37_79b9_7f4a_7c15);
    (u128::from(high) << 64 | u128::from(mix(high ^ b))).to_be_bytes()
}

/// Bytes that start with the number of the event, as those of a `UUIDv7` start with the time. What makes a UUID of them
/// overwrites bits further on.
fn ordered(writer: u64, number: u64) -> [u8; 16] {
    (u128::from(number) << 88 | u128::from(writer)).to_be_bytes()
}
