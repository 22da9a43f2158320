//! Messages come in at a steady rate and are read, while the read model that answers is built anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::codec::{Event as _, SCHEMA_VERSION};
use events::mailbox::MailboxEvent;
use events::{
    Actor, Append, EventId, EventStore, Expected, Metadata, NewEvent, Payload, RequestId, StreamId,
    Timestamp,
};
use projections::inbox::{InboxCursor, PageLimits};
use projections::{Model, Queries};
use replay::rebuild::rebuild;
use replay::verify::verify;
use testkit::history::samples::{self, Address};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::support::World;

/// Messages a second.
const RATE: u32 = 500;
const SECONDS: u32 = 10;
const SENDS: u32 = RATE * SECONDS;

/// What stands in the log before.
const BEFORE: u32 = 10_000;

const MAILBOXES: u32 = 50;
const READERS: u32 = 3;

/// Between two queries of a reader.
const PAUSE: Duration = Duration::from_millis(10);

fn mailbox(n: u32) -> Address {
    Address(n % MAILBOXES, 1, 1)
}

/// An event for a mailbox, as the doors would write it.
fn append(number: u32, to: Address, event: &MailboxEvent, payload: Option<Payload>) -> Append {
    let metadata = Metadata {
        at: Timestamp::from_epoch_millis(1_767_225_600_000 + u64::from(number)).unwrap(),
        actor: Actor::Anonymous,
        request: RequestId(Uuid::from_u128(u128::from(number))),
        causation: None,
        correlation: None,
        schema_version: SCHEMA_VERSION,
    };
    let event = NewEvent {
        id: EventId::from_uuid(Uuid::from_u128((0xabcd << 64) + u128::from(number))),
        type_name: event.type_name(),
        data: event.to_json().unwrap().into(),
        metadata: serde_json::to_vec(&metadata).unwrap().into(),
        payloads: payload.into_iter().collect(),
    };
    Append::one(StreamId::mailbox(to.into()), Expected::Any, vec![event])
}

async fn send(store: &dyn EventStore, number: u32) {
    let to = mailbox(number);
    let (event, payload) = samples::message(to, number, &[7; 1_024]);
    let append = append(number, to, &event, Some(payload));
    store.append(append).await.expect("no send fails");
}

/// Sends at the rate, however long each takes; tells how long each took.
async fn send_steadily(store: Arc<dyn EventStore>) -> Vec<Duration> {
    let mut turns = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut sending = JoinSet::new();
    for number in BEFORE..BEFORE + SENDS {
        turns.tick().await;
        let store = store.clone();
        sending.spawn(async move {
            let begun = Instant::now();
            send(&*store, number).await;
            begun.elapsed()
        });
    }
    sending.join_all().await
}

/// Pages through mailboxes from the beginning, again and again; tells how long each query took.
async fn read_steadily(queries: Queries, first: u32, going: Arc<AtomicBool>) -> Vec<Duration> {
    let limits = PageLimits {
        rows: 100,
        bytes: 1 << 20,
    };
    let mut turns = tokio::time::interval(PAUSE);
    let mut took = Vec::new();
    let mut number = first;
    while going.load(Ordering::SeqCst) {
        let mut after: Option<InboxCursor> = None;
        loop {
            turns.tick().await;
            let begun = Instant::now();
            let inbox = queries.inbox();
            let page = inbox.page(mailbox(number).into(), after, limits).await;
            let page = page.expect("no query fails");
            took.push(begun.elapsed());
            if page.messages.is_empty() {
                break;
            }
            let places: Vec<_> = page.messages.iter().map(|it| it.entry.cursor.0).collect();
            assert!(places.is_sorted(), "out of order");
            after = page.reached().or(after);
        }
        number += READERS;
    }
    took
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = times.len() * percent / 100;
    times[place.min(times.len() - 1)].as_secs_f64() * 1_000.0
}

fn print(what: &str, times: &mut [Duration]) {
    let (p50, p99) = (percentile(times, 50), percentile(times, 99));
    let most = percentile(times, 100);
    println!(
        "{what}: {}, none failed; p50 {p50:.1} ms, p99 {p99:.1} ms, most {most:.1} ms",
        times.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_is_rebuilt_during_500_sends_a_second_and_no_query_fails() {
    let world = World::new().await;
    for first in (0..BEFORE).step_by(1_000) {
        let sending = (first..first + 1_000).map(|number| send(&*world.store, number));
        futures::future::join_all(sending).await;
    }
    let workers = world.workers().await;
    let going = Arc::new(AtomicBool::new(true));
    let tasks = TaskTracker::new();
    let reading: Vec<_> = (0..READERS)
        .map(|first| {
            let (queries, going) = (workers.queries.clone(), going.clone());
            tasks.spawn(read_steadily(queries, first, going))
        })
        .collect();
    let begun = Instant::now();
    let store = world.store.clone();
    let sending = tasks.spawn(async move { (send_steadily(store).await, begun.elapsed()) });
    // As in a process of its own: what it computes keeps nobody waiting.
    let (environment, still) = (world.environment.clone(), going.clone());
    let rebuilding = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut rebuilds = 0;
        while rebuilds == 0 || still.load(Ordering::SeqCst) {
            runtime
                .block_on(rebuild(&environment, Model::Inbox))
                .unwrap();
            rebuilds += 1;
        }
        (rebuilds, runtime)
    });
    let (mut sends, over) = sending.await.unwrap();
    going.store(false, Ordering::SeqCst);
    // Connections that were opened over there live as long as the runtime.
    let (rebuilds, elsewhere): (u32, _) = rebuilding.await.unwrap();
    let mut queries = Vec::new();
    for reading in reading {
        queries.extend(reading.await.unwrap());
    }
    println!(
        "{rebuilds} rebuilds of inbox during {:.0} sends/s",
        f64::from(SENDS) / over.as_secs_f64()
    );
    print("sends", &mut sends);
    print("queries", &mut queries);
    assert_eq!(sends.len(), SENDS as usize);
    workers.reached(world.store.head().await.unwrap()).await;
    let mut waiting = 0;
    for n in 0..MAILBOXES {
        waiting += workers
            .queries
            .inbox()
            .count(mailbox(n).into())
            .await
            .unwrap();
    }
    assert_eq!(waiting, u64::from(BEFORE + SENDS), "none is lost");
    let verified = verify(&world.environment, Model::Inbox).await.unwrap();
    assert!(verified.is_clean(), "{verified:?}");
    workers.stop().await;
    elsewhere.shutdown_background();
}
