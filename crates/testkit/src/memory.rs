//! The log, the payloads and the personal keys in memory: the twin of the real store, behind the same contract.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use events::personal::{KeyId, KeysUnavailable, SubjectKey, SubjectKeys};
use events::ports::{Clock, Entropy};
use events::store::{PayloadSlice, PayloadStore, PayloadsUnavailable, StreamWrite};
use events::{
    Append, AppendError, Appended, Batch, EventId, EventStore, Family, Guard, PayloadId, Position,
    ReadError, Recorded, Revision, StreamId, Subject,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

use crate::environment::{FrozenClock, SeededEntropy};

/// The most events that one batch of [`EventStore::follow`] holds.
const FOLLOW_LIMIT: usize = 1_000;

/// An [`EventStore`], [`PayloadStore`] and [`SubjectKeys`] in one, gone with the process. Cheap to clone: all clones
/// share one log.
///
/// Unlike a transactional store it can be told to behave like one that writes stream after stream
/// ([`Self::cut_after`]), so that callers can prove that every prefix of their appends is a legal state.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    log: Mutex<Log>,
    head: watch::Sender<Position>,
}

#[derive(Default)]
struct Log {
    events: Vec<Recorded>,
    streams: HashMap<StreamId, Vec<usize>>,
    by_id: HashMap<EventId, usize>,
    payloads: HashMap<PayloadId, Bytes>,
    keys: HashMap<Subject, SubjectKey>,
    /// How many streams of the coming appends will be written, one number an append.
    cuts: Vec<usize>,
    /// The events of appends that were cut short: repeating such an append completes it.
    cut: HashSet<EventId>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(
            Arc::new(FrozenClock::default()),
            Arc::new(SeededEntropy::default()),
        )
    }
}

impl MemoryStore {
    /// An empty log that takes its times from `clock` and its keys from `entropy`.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Shared {
            clock,
            entropy,
            log: Mutex::default(),
            head: watch::Sender::new(Position::START),
        }))
    }

    /// Cuts the next append short: its first `streams` streams are written, then it fails with
    /// [`AppendError::Unavailable`]. Called `n` times, it cuts the next `n` appends. An append of no more than `streams`
    /// streams is stored whole, and its answer is lost.
    pub fn cut_after(&self, streams: usize) {
        self.log().cuts.push(streams);
    }

    /// Takes back what [`Self::cut_after`] ordered and no append has met yet; tells how many there were.
    pub fn uncut(&self) -> usize {
        std::mem::take(&mut self.log().cuts).len()
    }

    /// Everything in the log, in order.
    pub fn events(&self) -> Vec<Recorded> {
        self.log().events.clone()
    }

    /// How many payloads are kept.
    pub fn payload_count(&self) -> usize {
        self.log().payloads.len()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0
            .log
            .lock()
            .expect("no thread panics while it holds the log")
    }
}

/// What was ordered with [`MemoryStore::cut_after`].
#[derive(Debug, thiserror::Error)]
#[error("the append was cut short after {0} streams, as ordered")]
struct CutShort(usize);

impl Log {
    fn revision_of(&self, stream: &StreamId) -> Option<Revision> {
        let last = self.streams.get(stream)?.last()?;
        Some(self.events[*last].revision)
    }

    /// The stored event of this id, where it stands in this stream.
    fn stored(&self, stream: &StreamId, id: EventId) -> Option<&Recorded> {
        let recorded = &self.events[*self.by_id.get(&id)?];
        (recorded.stream == *stream).then_some(recorded)
    }

    /// The outcome of an append all of whose events are stored already.
    fn repeat(&self, append: &Append) -> Option<Appended> {
        let mut position = Position::START;
        let mut revisions = Vec::with_capacity(append.writes.len());
        for write in &append.writes {
            let mut last = None;
            for event in &write.events {
                let recorded = self.stored(&write.stream, event.id)?;
                position = position.max(recorded.position);
                last = Some(recorded.revision);
            }
            revisions.push(last?);
        }
        Some(Appended {
            position,
            revisions,
            repeated: true,
        })
    }

    /// Whether this write is the part of a cut append that was stored.
    fn is_done(&self, write: &StreamWrite) -> bool {
        let done = |id| self.cut.contains(&id) && self.stored(&write.stream, id).is_some();
        write.events.iter().all(|event| done(event.id))
    }

    fn guard(&self, Guard { stream, expected }: &Guard) -> Result<(), AppendError> {
        let actual = self.revision_of(stream);
        if expected.admits(actual) {
            return Ok(());
        }
        Err(AppendError::WrongRevision {
            stream: stream.clone(),
            expected: *expected,
            actual,
        })
    }

    fn check(&self, write: &StreamWrite) -> Result<(), AppendError> {
        let mut ids = write.events.iter().map(|event| event.id);
        if let Some(id) = ids.find(|id| self.by_id.contains_key(id)) {
            return Err(AppendError::IdReused { id });
        }
        let actual = self.revision_of(&write.stream);
        if write.expected.admits(actual) {
            Ok(())
        } else {
            let StreamWrite {
                stream, expected, ..
            } = write;
            Err(AppendError::WrongRevision {
                stream: stream.clone(),
                expected: *expected,
                actual,
            })
        }
    }

    fn write(&mut self, write: StreamWrite, clock: &dyn Clock) {
        for event in write.events {
            let index = self.events.len();
            let revision = self
                .revision_of(&write.stream)
                .map_or(Revision::FIRST, Revision::next);
            self.events.push(Recorded {
                position: Position(index as u64 + 1),
                stream: write.stream.clone(),
                revision,
                id: event.id,
                type_name: event.type_name.into(),
                data: event.data,
                metadata: event.metadata,
                recorded_at: clock.now(),
            });
            self.by_id.insert(event.id, index);
            self.streams
                .entry(write.stream.clone())
                .or_default()
                .push(index);
            self.payloads
                .extend(event.payloads.into_iter().map(|p| (p.id, p.bytes)));
        }
    }

    fn append(&mut self, append: Append, clock: &dyn Clock) -> Result<Appended, AppendError> {
        let cut = (!self.cuts.is_empty()).then(|| self.cuts.remove(0));
        let lost = |streams| AppendError::Unavailable(Box::new(CutShort(streams)));
        if let Some(appended) = self.repeat(&append) {
            return cut.map_or(Ok(appended), |streams| Err(lost(streams)));
        }
        let pending = || append.writes.iter().filter(|write| !self.is_done(write));
        pending().try_for_each(|write| self.check(write))?;
        append
            .guards
            .iter()
            .try_for_each(|guard| self.guard(guard))?;
        let ids: Vec<_> = append
            .writes
            .iter()
            .flat_map(|w| &w.events)
            .map(|e| e.id)
            .collect();
        let streams: Vec<_> = append
            .writes
            .iter()
            .map(|write| write.stream.clone())
            .collect();
        for (number, write) in append.writes.into_iter().enumerate() {
            if cut == Some(number) {
                break;
            }
            if !self.is_done(&write) {
                self.write(write, clock);
            }
        }
        if let Some(streams) = cut {
            self.cut.extend(ids);
            return Err(lost(streams));
        }
        let revisions = streams
            .iter()
            .filter_map(|stream| self.revision_of(stream))
            .collect();
        Ok(Appended {
            position: self.head(),
            revisions,
            repeated: false,
        })
    }

    fn head(&self) -> Position {
        Position(self.events.len() as u64)
    }

    fn stretch(&self, after: Position, families: &[Family], limit: usize) -> Batch {
        let mut batch = Batch {
            events: Vec::new(),
            through: after,
        };
        let start = usize::try_from(after.0)
            .unwrap_or(usize::MAX)
            .min(self.events.len());
        for recorded in &self.events[start..] {
            if families.contains(&recorded.stream.family()) {
                if batch.events.len() == limit {
                    break;
                }
                batch.events.push(recorded.clone());
            }
            batch.through = recorded.position;
        }
        batch
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut log = self.log();
        let outcome = log.append(append, &*self.0.clock);
        self.0.head.send_replace(log.head());
        outcome
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let log = self.log();
        let indices = log.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(from.0).unwrap_or(usize::MAX);
        let tail = indices.iter().skip(from).take(limit);
        Ok(tail.map(|index| log.events[*index].clone()).collect())
    }

    async fn read_all(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Batch, ReadError> {
        Ok(self.log().stretch(after, families, limit))
    }

    fn follow(
        &self,
        after: Position,
        families: &[Family],
    ) -> BoxStream<'static, Result<Batch, ReadError>> {
        let families = families.to_vec();
        let start = (self.clone(), self.0.head.subscribe(), after);
        stream::unfold(start, move |(store, mut head, after)| {
            let families = families.clone();
            async move {
                // The sender lives in `store`, so the channel cannot close while this waits.
                head.wait_for(|head| *head > after).await.ok()?;
                let batch = store.log().stretch(after, &families, FOLLOW_LIMIT);
                let through = batch.through;
                Some((Ok(batch), (store, head, through)))
            }
        })
        .boxed()
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.log().head())
    }

    fn checks_guards(&self) -> bool {
        true
    }
}

#[async_trait]
impl PayloadStore for MemoryStore {
    async fn fetch(
        &self,
        slices: &[PayloadSlice],
    ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable> {
        let log = self.log();
        let cut = |slice: &PayloadSlice| {
            let bytes = log.payloads.get(&slice.id)?;
            let start = usize::try_from(slice.offset).ok()?;
            let end = start.checked_add(usize::try_from(slice.length).ok()?)?;
            (end <= bytes.len()).then(|| bytes.slice(start..end))
        };
        Ok(slices.iter().map(cut).collect())
    }

    async fn erase(&self, ids: &[PayloadId]) -> Result<u64, PayloadsUnavailable> {
        let mut log = self.log();
        let erased = ids
            .iter()
            .filter(|id| log.payloads.remove(id).is_some())
            .count();
        Ok(erased as u64)
    }

    async fn stored(
        &self,
        after: Option<PayloadId>,
        limit: usize,
    ) -> Result<Vec<PayloadId>, PayloadsUnavailable> {
        let mut ids: Vec<_> = self.log().payloads.keys().copied().collect();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        ids.sort_unstable();
        ids.truncate(limit);
        Ok(ids)
    }
}

#[async_trait]
impl SubjectKeys for MemoryStore {
    async fn obtain(&self, subject: Subject) -> Result<SubjectKey, KeysUnavailable> {
        let mut log = self.log();
        let made = || SubjectKey::generate(&*self.0.entropy);
        Ok(log.keys.entry(subject).or_insert_with(made).clone())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, SubjectKey>, KeysUnavailable> {
        let log = self.log();
        let wanted = log.keys.values().filter(|key| ids.contains(&key.id));
        Ok(wanted.map(|key| (key.id, key.clone())).collect())
    }

    async fn destroy(&self, subject: Subject) -> Result<bool, KeysUnavailable> {
        Ok(self.log().keys.remove(&subject).is_some())
    }

    async fn subjects(
        &self,
        after: Option<uuid::Uuid>,
        limit: usize,
    ) -> Result<Vec<Subject>, KeysUnavailable> {
        let mut subjects: Vec<_> = self.log().keys.keys().copied().collect();
        subjects.retain(|subject| after.is_none_or(|after| subject.uuid() > after));
        subjects.sort_unstable_by_key(|subject| subject.uuid());
        subjects.truncate(limit);
        Ok(subjects)
    }

    async fn sessions_of(&self, pni: events::Pni) -> Result<Vec<Subject>, KeysUnavailable> {
        let log = self.log();
        let about = |subject: &&Subject| matches!(subject, Subject::Session(_, it) if *it == pni);
        Ok(log.keys.keys().filter(about).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Expected, NewEvent};

    fn event(number: u8) -> NewEvent {
        NewEvent {
            id: EventId::from_random([number; 16]),
            type_name: "NumberReleased",
            data: Bytes::new(),
            metadata: Bytes::new(),
            payloads: Vec::new(),
        }
    }

    fn stream(number: u128) -> StreamId {
        StreamId::number(events::Pni::from_uuid(uuid::Uuid::from_u128(number)))
    }

    fn over_three_streams() -> Append {
        let write = |number: u8| StreamWrite {
            stream: stream(number.into()),
            expected: Expected::NoStream,
            events: vec![event(2 * number), event(2 * number + 1)],
        };
        Append::to((1..=3).map(write).collect())
    }

    #[tokio::test]
    async fn a_cut_append_is_completed_by_its_repeat() {
        for cut in 0..=3 {
            let store = MemoryStore::default();
            store.cut_after(cut);
            let outcome = store.append(over_three_streams()).await;
            assert!(matches!(outcome, Err(AppendError::Unavailable(_))));
            assert_eq!(store.events().len(), 2 * cut);
            let appended = store.append(over_three_streams()).await.unwrap();
            assert_eq!(appended.position, Position(6));
            assert_eq!(appended.revisions, [Revision(1); 3]);
            assert_eq!(store.events().len(), 6);
        }
    }

    #[tokio::test]
    async fn a_follower_gets_what_is_there_and_what_comes() {
        let store = MemoryStore::default();
        let one = |n: u8| Append::one(stream(1), Expected::Any, vec![event(n)]);
        store.append(one(1)).await.unwrap();
        let mut batches = store.follow(Position::START, &[Family::Number]);
        assert_eq!(batches.next().await.unwrap().unwrap().through, Position(1));
        let (batch, _) = tokio::join!(batches.next(), store.append(one(2)));
        assert_eq!(batch.unwrap().unwrap().events[0].id, event(2).id);
    }
}
