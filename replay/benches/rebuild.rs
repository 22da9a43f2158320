//! How fast read models are rebuilt: `cargo bench -p replay [-- EVENTS]` fills a log and rebuilds each model from it.
//!
//! The log is a mixture of what concerns entities (accounts that change their attributes) and what concerns single
//! events (messages that come and are acknowledged), in equal parts.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

use std::sync::Arc;

use events::codec::SCHEMA_VERSION;
use events::personal::{Subject, SubjectKeys as _};
use events::store::StreamWrite;
use events::{
    Actor, AnyEvent, Append, EventId, EventStore as _, Expected, Metadata, NewEvent, RequestId,
    StreamId, Timestamp,
};
use projections::MODELS;
use replay::Environment;
use replay::rebuild::rebuild;
use store_postgres::{PgEventStore, PgSubjectKeys};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::samples::{self, Address};
use testkit::postgres::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const DEFAULT: u32 = 200_000;
const ACCOUNTS: u32 = 5_000;
const APPENDED_AT_ONCE: u32 = 200;

struct Log {
    store: PgEventStore,
    keys: PgSubjectKeys,
    entropy: Arc<SeededEntropy>,
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let events: u32 = numbers.next_back().unwrap_or(DEFAULT);
    let database = TestDatabase::create().await;
    let entropy = Arc::new(SeededEntropy::default());
    let log = Arc::new(Log {
        store: database.event_store().await,
        keys: PgSubjectKeys::new(database.pool.clone(), entropy.clone()),
        entropy: entropy.clone(),
    });
    fill(&log, events).await;
    let environment = Environment {
        store: Arc::new(database.event_store().await),
        keys: Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy.clone())),
        database: database.pool.clone(),
        clock: Arc::new(FrozenClock::default()),
        entropy,
        operator: "bench".into(),
        shutdown: CancellationToken::new(),
    };
    println!(
        "{:<22} {:>10} {:>10} {:>12}",
        "model", "events", "seconds", "events/s"
    );
    for model in MODELS {
        let rebuilt = rebuild(&environment, *model).await.unwrap();
        let seconds = rebuilt.took.as_secs_f64();
        let rate = f64::from(u32::try_from(rebuilt.events).unwrap()) / seconds;
        println!(
            "{model:<22} {:>10} {seconds:>10.2} {rate:>12.0}",
            rebuilt.events
        );
    }
}

/// Accounts first; then each step is an acknowledged message and two changes of attributes.
async fn fill(log: &Arc<Log>, events: u32) {
    let steps = events.saturating_sub(ACCOUNTS) / 4;
    let mut pending: Vec<(StreamId, AnyEvent)> = Vec::new();
    let tasks = TaskTracker::new();
    for n in 0..ACCOUNTS {
        pending.push((
            StreamId::account(samples::aci(n)),
            samples::registered(n, 1).into(),
        ));
        send(log, &tasks, &mut pending, false).await;
    }
    for n in 0..steps {
        let account = n % ACCOUNTS;
        let to = Address(account, 1, 1);
        let (message, _) = samples::message(to, n, b"hello");
        let mailbox = StreamId::mailbox(to.into());
        pending.push((mailbox.clone(), message.into()));
        pending.push((
            StreamId::account(samples::aci(account)),
            samples::attributes(1, n).into(),
        ));
        if n % 10 != 0 {
            pending.push((mailbox, samples::delivered(&[n]).into()));
        }
        pending.push((
            StreamId::account(samples::aci(account)),
            samples::seen(1).into(),
        ));
        send(log, &tasks, &mut pending, false).await;
    }
    send(log, &tasks, &mut pending, true).await;
    tasks.close();
    tasks.wait().await;
}

async fn send(
    log: &Arc<Log>,
    tasks: &TaskTracker,
    pending: &mut Vec<(StreamId, AnyEvent)>,
    rest: bool,
) {
    if !rest && pending.len() < APPENDED_AT_ONCE as usize {
        return;
    }
    let (log, events) = (log.clone(), std::mem::take(pending));
    let append = async move {
        let mut append = Append::default();
        for (stream, event) in events {
            let event = seal(&log, &stream, event).await;
            match append
                .writes
                .iter_mut()
                .find(|write| write.stream == stream)
            {
                Some(write) => write.events.push(event),
                None => append.writes.push(StreamWrite {
                    stream,
                    expected: Expected::Any,
                    events: vec![event],
                }),
            }
        }
        log.store.append(append).await.unwrap();
    };
    if tasks.len() < 16 {
        _ = tasks.spawn(append);
    } else {
        append.await;
    }
}

async fn seal(log: &Log, stream: &StreamId, mut event: AnyEvent) -> NewEvent {
    if let Some(aci) = stream.as_account() {
        let key = log.keys.obtain(Subject::Account(aci)).await.unwrap();
        event.visit_personal(&mut |field| field.seal(&key, &*log.entropy));
    }
    let entropy: &dyn events::ports::Entropy = &*log.entropy;
    let metadata = Metadata {
        at: Timestamp::from_epoch_millis(1_767_225_600_000).unwrap(),
        actor: Actor::Anonymous,
        request: RequestId(Uuid::from_u128(1)),
        causation: None,
        correlation: None,
        schema_version: SCHEMA_VERSION,
    };
    NewEvent {
        id: EventId::from_random(entropy.bytes()),
        type_name: event.type_name(),
        data: event.to_json().unwrap().into(),
        metadata: serde_json::to_vec(&metadata).unwrap().into(),
        payloads: Vec::new(),
    }
}
