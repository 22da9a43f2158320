//! What the tests of the store have in common: writers that keep account of what they were told.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;

use events::ids::EventId;
use events::store::{Append, AppendError, EventStore, Expected, Position, Recorded};
use events::stream::Family;
use sqlx::PgPool;
use testkit::contract::events::{append_of, assert_dense, followed, ids, new_stream, write};

/// What the log has to hold: event ids and their positions.
pub(crate) type Acknowledged = HashMap<EventId, Position>;

/// Appends of one, two and five events to streams of its own, `rounds` times. Repeats an append until it is answered, as
/// a client would.
pub(crate) async fn write_steadily(store: &dyn EventStore, rounds: usize) -> Acknowledged {
    let streams = [new_stream(), new_stream()];
    let mut acknowledged = Acknowledged::new();
    for round in 0..rounds {
        let append = match round % 3 {
            0 => append_of(&streams[0], Expected::Any, 1),
            1 => append_of(&streams[1], Expected::Any, 5),
            _ => Append::to(
                streams
                    .iter()
                    .map(|stream| write(stream, Expected::Any, 1))
                    .collect(),
            ),
        };
        acknowledged.extend(persist(store, append).await);
    }
    acknowledged
}

/// Appends; again with the same ids when the outcome is unknown or there is no room.
pub(crate) async fn persist(store: &dyn EventStore, append: Append) -> Acknowledged {
    loop {
        match store.append(append.clone()).await {
            Ok(appended) => {
                let positions = (1..=appended.position.0).rev().map(Position);
                return ids(&append).into_iter().rev().zip(positions).collect();
            }
            Err(AppendError::Unavailable(_) | AppendError::Overloaded { .. }) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("an append without expectations was refused: {error}"),
        }
    }
}

/// Fails unless the table is dense and holds what was acknowledged, where it was said to be, and `others` more events.
pub(crate) async fn assert_log_holds(
    store: &dyn EventStore,
    acknowledged: &Acknowledged,
    others: usize,
) -> Vec<Recorded> {
    let head = store.head().await.expect("readable");
    let events = followed(store, Position::START, &Family::ALL, head).await;
    assert_dense(&events, Position::START);
    assert_eq!(
        events.len(),
        acknowledged.len() + others,
        "stored, against acknowledged"
    );
    let places: Acknowledged = events
        .iter()
        .map(|event| (event.id, event.position))
        .collect();
    assert_eq!(places.len(), events.len(), "an event is stored twice");
    for (id, position) in acknowledged {
        assert_eq!(
            places.get(id),
            Some(position),
            "an acknowledged event is missing or elsewhere"
        );
    }
    events
}

/// Ends the server processes of appenders on this database; tells how many there were.
pub(crate) async fn kill_appenders(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'heliograph appender'",
    )
    .fetch_one(pool)
    .await
    .expect("a superuser may end backends")
}
