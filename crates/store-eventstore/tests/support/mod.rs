//! What the tests of the adapter share.

#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "for tests only")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::payload::Payload;
use events::store::{PayloadSlice, PayloadStore, PayloadsUnavailable};
use events::{
    Append, AppendError, EventId, EventStore as _, Expected, NewEvent, PayloadId, Pni, ReadError,
    StreamId,
};
use store_eventstore::{Error, EventStoreDb, Options, PayloadSink};
use testkit::environment::FrozenClock;
use testkit::eventstore::Double;
use testkit::memory::MemoryStore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A sink that keeps payloads in memory, and can be made to fail.
#[derive(Default)]
pub(crate) struct Payloads {
    kept: Mutex<HashMap<PayloadId, Bytes>>,
    failing: AtomicBool,
}

impl Payloads {
    pub(crate) fn fail(&self, fail: bool) {
        self.failing.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait]
impl PayloadSink for Payloads {
    async fn keep(&self, payloads: &[Payload]) -> Result<(), PayloadsUnavailable> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(PayloadsUnavailable("no room, as ordered".into()));
        }
        let kept = payloads
            .iter()
            .map(|payload| (payload.id, payload.bytes.clone()));
        self.kept.lock().unwrap().extend(kept);
        Ok(())
    }
}

#[async_trait]
impl PayloadStore for Payloads {
    async fn fetch(
        &self,
        slices: &[PayloadSlice],
    ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable> {
        let kept = self.kept.lock().unwrap();
        let cut = |slice: &PayloadSlice| {
            let bytes = kept.get(&slice.id)?;
            let start = usize::try_from(slice.offset).ok()?;
            let end = start.checked_add(usize::try_from(slice.length).ok()?)?;
            (end <= bytes.len()).then(|| bytes.slice(start..end))
        };
        Ok(slices.iter().map(cut).collect())
    }

    async fn erase(&self, ids: &[PayloadId]) -> Result<u64, PayloadsUnavailable> {
        let mut kept = self.kept.lock().unwrap();
        Ok(ids.iter().filter(|id| kept.remove(id).is_some()).count() as u64)
    }

    async fn stored(
        &self,
        after: Option<PayloadId>,
        limit: usize,
    ) -> Result<Vec<PayloadId>, PayloadsUnavailable> {
        let mut ids: Vec<_> = self.kept.lock().unwrap().keys().copied().collect();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        ids.sort_unstable();
        ids.truncate(limit);
        Ok(ids)
    }
}

/// A double over a store in memory.
pub(crate) async fn double() -> (Double, MemoryStore) {
    let memory = MemoryStore::default();
    (Double::over(Arc::new(memory.clone())).await, memory)
}

/// Short enough for tests that wait for it, long enough for a machine that is busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn options(url: &str) -> Options {
    Options {
        deadline: DEADLINE,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        ..Options::new(url.parse().unwrap())
    }
}

pub(crate) async fn connect(url: &str) -> Result<EventStoreDb, Error> {
    connect_with(options(url), Arc::default()).await
}

pub(crate) async fn connect_with(
    options: Options,
    payloads: Arc<Payloads>,
) -> Result<EventStoreDb, Error> {
    let clock = Arc::new(FrozenClock::default());
    EventStoreDb::connect(options, clock, payloads, &TaskTracker::new()).await
}

pub(crate) fn id(number: u128) -> EventId {
    EventId::from_uuid(Uuid::from_u128(number))
}

/// An event that `number-…` streams hold.
pub(crate) fn event(number: u128) -> NewEvent {
    NewEvent {
        id: id(number),
        type_name: "NumberReleased",
        data: Bytes::from(format!(r#"{{"number": {number}}}"#)),
        metadata: Bytes::from_static(br#"{"actor": "nobody"}"#),
        payloads: Vec::new(),
    }
}

pub(crate) fn numbers(stream: u128) -> StreamId {
    StreamId::number(Pni::from_uuid(Uuid::from_u128(stream)))
}

pub(crate) fn one(stream: u128, expected: Expected, numbers_of_events: &[u128]) -> Append {
    let events = numbers_of_events
        .iter()
        .map(|number| event(*number))
        .collect();
    Append::one(numbers(stream), expected, events)
}

/// The adapter's own error inside of an append's.
pub(crate) fn why(error: AppendError) -> Error {
    match error {
        AppendError::Unavailable(error) => *error.downcast::<Error>().expect("the adapter's error"),
        other => panic!("{other}"),
    }
}

/// The adapter's own error inside of a read's.
pub(crate) fn why_unread(error: ReadError) -> Error {
    match error {
        ReadError::Unavailable(error) => *error.downcast::<Error>().expect("the adapter's error"),
        other @ ReadError::Damaged { .. } => panic!("{other}"),
    }
}

/// The ids in a stream, in order.
pub(crate) async fn ids(store: &EventStoreDb, stream: u128) -> Vec<EventId> {
    let events = store
        .read(&numbers(stream), events::Revision::FIRST, usize::MAX)
        .await
        .unwrap();
    events.iter().map(|event| event.id).collect()
}
