//! How many appends and reads a second go through the adapter, beside the bare client, against the double in memory.
//!
//! `cargo bench -p store-eventstore --bench append`. The double runs in the same process, so this measures client,
//! forwarder and protocol, not a database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use events::payload::Payload;
use events::store::PayloadsUnavailable;
use events::{Append, EventId, EventStore as _, Expected, NewEvent, Pni, Revision, StreamId};
use eventstore::{AppendToStreamOptions, BatchAppendOptions, Client, EventData, ExpectedRevision};
use futures::StreamExt as _;
use store_eventstore::{EventStoreDb, Options, PayloadSink, install_crypto_provider};
use testkit::environment::FrozenClock;
use testkit::eventstore::Double;
use testkit::memory::MemoryStore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long each measurement goes on.
const SPAN: Duration = Duration::from_secs(3);

struct NoPayloads;

#[async_trait]
impl PayloadSink for NoPayloads {
    async fn keep(&self, _: &[Payload]) -> Result<(), PayloadsUnavailable> {
        Ok(())
    }
}

/// About as many bytes as a "message accepted" record has.
fn data() -> Bytes {
    format!(r#"{{"text":"{}"}}"#, "x".repeat(580)).into()
}

fn stream(number: u128) -> StreamId {
    StreamId::number(Pni::from_uuid(Uuid::from_u128(number)))
}

fn append(number: u128, expected: Expected) -> Append {
    let event = NewEvent {
        id: EventId::from_uuid(Uuid::from_u128(number)),
        type_name: "NumberReleased",
        data: data(),
        metadata: Bytes::from_static(br#"{"actor":"nobody"}"#),
        payloads: Vec::new(),
    };
    Append::one(stream(number), expected, vec![event])
}

/// Runs `call(1)`, `call(2)`, … with `concurrent` of them under way, and prints the rate.
async fn measure<F: Future<Output = ()>>(what: &str, concurrent: usize, call: impl Fn(u128) -> F) {
    let start = Instant::now();
    let numbers = futures::stream::iter(1..).take_while(|_| {
        let goes_on = start.elapsed() < SPAN;
        async move { goes_on }
    });
    let done = numbers.map(call).buffer_unordered(concurrent).count().await;
    let rate = f64::from(u32::try_from(done).expect("few enough")) / start.elapsed().as_secs_f64();
    println!("{what:<46} {concurrent:>4} at a time  {rate:>9.0}/s");
}

async fn double() -> Double {
    Double::over(Arc::new(MemoryStore::default())).await
}

async fn adapter(double: &Double) -> EventStoreDb {
    let options = Options::new(double.url().parse().expect("the double's address is valid"));
    let clock = Arc::new(FrozenClock::default());
    let tasks = TaskTracker::new();
    EventStoreDb::connect(options, clock, Arc::new(NoPayloads), &tasks)
        .await
        .expect("the double answers")
}

async fn through_the_adapter() {
    for (what, expected) in [
        ("adapter: append to a new stream", Expected::NoStream),
        ("adapter: append wherever it stands", Expected::Any),
    ] {
        for concurrent in [1, 8, 64, 256] {
            let double = double().await;
            let store = &adapter(&double).await;
            measure(what, concurrent, async |number| {
                store
                    .append(append(number, expected))
                    .await
                    .expect("appended");
            })
            .await;
        }
    }
    for concurrent in [1, 64] {
        let double = double().await;
        let store = &adapter(&double).await;
        store
            .append(append(1, Expected::NoStream))
            .await
            .expect("appended");
        measure("adapter: read a stream", concurrent, async |_| {
            store
                .read(&stream(1), Revision::FIRST, 10)
                .await
                .expect("read");
        })
        .await;
    }
}

async fn with_the_bare_client() {
    let event = |number| {
        let event = EventData::binary("NumberReleased", data()).id(Uuid::from_u128(number));
        event.metadata(Bytes::from_static(b"{}"))
    };
    for concurrent in [1, 64] {
        let double = double().await;
        let settings = double.url().parse().expect("the double's address is valid");
        let client = &Client::new(settings).expect("a client");
        measure(
            "bare client: append_to_stream",
            concurrent,
            async |number| {
                let (name, options) =
                    (stream(number).to_string(), AppendToStreamOptions::default());
                client
                    .append_to_stream(name, &options, event(number))
                    .await
                    .expect("appended");
            },
        )
        .await;
        let session = &client
            .batch_append(&BatchAppendOptions::default())
            .await
            .expect("a session");
        measure(
            "bare client: batch_append session",
            concurrent,
            async |number| {
                let number = number + (1 << 64);
                let (name, events) = (stream(number).to_string(), vec![event(number)]);
                let appending = session.append_to_stream(name, ExpectedRevision::NoStream, events);
                appending.await.expect("appended");
            },
        )
        .await;
    }
}

fn main() {
    install_crypto_provider().expect("nobody else was first");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        through_the_adapter().await;
        with_the_bare_client().await;
    });
}
