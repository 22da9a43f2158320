//! The port to the append-only log. Each promise here is a test in `testkit`'s store contract suite.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};

use crate::ids::EventId;
use crate::payload::{Payload, PayloadId};
use crate::stream::{Family, StreamId};
use crate::values::Timestamp;

/// A place in the whole log. The first event has position 1; 0 is before everything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The position as Postgres keeps it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("a log of 2^63 events is out of reach")
    }

    /// Reads what [`Self::to_i64`] gave.
    pub fn from_i64(position: i64) -> Self {
        Self(u64::try_from(position).expect("positions are not negative"))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one stream. The first event has revision 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a stream's first event.
    pub const FIRST: Self = Self(0);

    /// The following place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The revision as Postgres keeps it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("a stream of 2^63 events is out of reach")
    }

    /// Reads what [`Self::to_i64`] gave.
    pub fn from_i64(revision: i64) -> Self {
        Self(u64::try_from(revision).expect("revisions are not negative"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the caller believes a stream to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anywhere: the events have no invariant with what stands there.
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The last event has this revision.
    Exact(Revision),
}

impl Expected {
    /// Whether a stream whose last event is `actual` is as expected.
    pub fn admits(self, actual: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.is_none(),
            Self::Exact(revision) => actual == Some(revision),
        }
    }
}

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id. Appending the same id again stores nothing and answers like the first time.
    pub id: EventId,
    /// Its kind: a name that [`crate::codec::type_code`] knows.
    pub type_name: &'static str,
    /// What happened: JSON.
    pub data: Bytes,
    /// Who, when, through which request: JSON of [`crate::Metadata`].
    pub metadata: Bytes,
    /// Bytes that its references point to.
    pub payloads: Vec<Payload>,
}

/// Events for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// Where it must stand.
    pub expected: Expected,
    /// One at least.
    pub events: Vec<NewEvent>,
}

/// A stream that is not written to, and on which the events depend all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The stream.
    pub stream: StreamId,
    /// Where it must stand.
    pub expected: Expected,
}

/// Events for one or more distinct streams, to be stored together.
///
/// **Prefix safety.** A store that cannot write several streams in one transaction writes them in the order given and
/// may be cut short between two of them. Callers choose the order so that every prefix is a legal state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// In the order in which they become true.
    pub writes: Vec<StreamWrite>,
    /// What must be as it was when they were decided. Only for stores that check it ([`EventStore::checks_guards`]).
    pub guards: Vec<Guard>,
}

impl Append {
    /// An append to these streams.
    pub fn to(writes: Vec<StreamWrite>) -> Self {
        let guards = Vec::new();
        Self { writes, guards }
    }

    /// An append to one stream.
    pub fn one(stream: StreamId, expected: Expected, events: Vec<NewEvent>) -> Self {
        Self::to(vec![StreamWrite {
            stream,
            expected,
            events,
        }])
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of data, metadata and payloads.
    pub fn size(&self) -> usize {
        let events = self.writes.iter().flat_map(|write| &write.events);
        events
            .map(|e| {
                e.data.len()
                    + e.metadata.len()
                    + e.payloads.iter().map(|p| p.bytes.len()).sum::<usize>()
            })
            .sum()
    }
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of the last event.
    pub position: Position,
    /// The last revision of each stream, in the order of the writes.
    pub revisions: Vec<Revision>,
    /// Whether the events were there already: this was a repeat.
    pub repeated: bool,
}

/// Why an append was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody was faster. Look at the stream and decide again.
    #[error("stream {stream} stands at {actual:?}, not as expected ({expected:?})")]
    WrongRevision {
        /// The first stream that is elsewhere.
        stream: StreamId,
        /// Where the caller believed it to stand.
        expected: Expected,
        /// Where it stands.
        actual: Option<Revision>,
    },
    /// Some of the event ids are stored already and some are not, or in other streams: the ids were given twice.
    #[error("event id {id} of this append is already stored, but not all of its ids are")]
    IdReused {
        /// The first such id.
        id: EventId,
    },
    /// More than the log takes in one append. Nothing will make it fit.
    #[error("an append of {events} events and {bytes} bytes is over the limit")]
    TooLarge {
        /// How many events it has.
        events: usize,
        /// How many bytes it has.
        bytes: usize,
    },
    /// More appends are waiting than the log will queue. Nothing was stored.
    #[error("the log is overloaded; try again in {retry_after:?}")]
    Overloaded {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The store could not be reached, or failed. The outcome may be unknown: repeat with the same event ids.
    #[error("the event store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A position is missing, or a row cannot be: somebody has changed the log by hand.
    #[error("the log is damaged at position {position}: {what}")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong there.
        what: String,
    },
    /// The store could not be reached, or failed.
    #[error("the event store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// The stream it stands in.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its id.
    pub id: EventId,
    /// The stored name of its kind.
    pub type_name: Cow<'static, str>,
    /// What happened: JSON.
    pub data: Bytes,
    /// Who, when, through which request: JSON.
    pub metadata: Bytes,
    /// When the store took it, by the clock of the node that wrote it.
    pub recorded_at: Timestamp,
}

/// A stretch of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The events of the families asked for, in order.
    pub events: Vec<Recorded>,
    /// How far the stretch reaches: the next checkpoint. May lie past the last event, where a filter skipped some.
    pub through: Position,
}

/// Where facts are kept.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Stores all of `append` or nothing (see [`Append`] for stores that cannot), if every stream stands as expected, those
    /// of its guards included.
    ///
    /// When this returns, the events survive the death of any process. Repeating an append with the same event ids
    /// stores nothing more and answers like the first time, whatever the streams have become since.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// At most `limit` events of one stream from revision `from` on, in order. A stream that does not exist is empty.
    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError>;

    /// The next stretch after `after`: at most `limit` events of `families`, in order. Nothing that was not yet
    /// readable below `through` will ever appear there.
    async fn read_all(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Batch, ReadError>;

    /// Everything of `families` after `after`, in order, without gap or repeat: first what is there, then what comes.
    /// Batches hold what was waiting, up to a bound of the store's choice. Ends only with an error.
    fn follow(
        &self,
        after: Position,
        families: &[Family],
    ) -> BoxStream<'static, Result<Batch, ReadError>>;

    /// The position of the last event, over all nodes.
    async fn head(&self) -> Result<Position, ReadError>;

    /// Everything of `families` after `after` up to `through`, which is not past the head, in stretches of at most
    /// `limit` events: page after page of [`Self::read_all`], unless the store knows a quicker way through a long log.
    fn scan(
        &self,
        after: Position,
        through: Position,
        families: &[Family],
        limit: usize,
    ) -> BoxStream<'_, Result<Batch, ReadError>> {
        let families = families.to_vec();
        stream::try_unfold((after, families), move |(after, families)| async move {
            if after >= through {
                return Ok(None);
            }
            let mut batch = self.read_all(after, &families, limit).await?;
            if batch.through >= through {
                batch.events.retain(|event| event.position <= through);
                batch.through = through;
            } else if batch.through <= after {
                let what = format!("it ends before {through}, where it was said to reach");
                return Err(ReadError::Damaged {
                    position: after,
                    what,
                });
            }
            let through = batch.through;
            Ok(Some((batch, (through, families))))
        })
        .boxed()
    }

    /// Like [`Self::scan`]; events of the kinds in `spare` (family and stored name) may be left out, which pays where the
    /// store need not read them at all.
    fn scan_without(
        &self,
        after: Position,
        through: Position,
        families: &[Family],
        _spare: &[(Family, &'static str)],
        limit: usize,
    ) -> BoxStream<'_, Result<Batch, ReadError>> {
        self.scan(after, through, families, limit)
    }

    /// Whether an append can depend on streams that it does not write to: their places are compared in the same moment.
    fn checks_guards(&self) -> bool {
        false
    }

    /// Whether positions are 1, 2, 3, … without a gap, so that their difference counts events. The port promises only
    /// that they rise.
    fn has_dense_positions(&self) -> bool {
        true
    }

    /// Whether old events can move to an archive, from which this store goes on reading them.
    fn reads_archive(&self) -> bool {
        false
    }
}

/// A part of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadSlice {
    /// Which payload.
    pub id: PayloadId,
    /// From which byte.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
}

/// The payload store failed.
#[derive(Debug, thiserror::Error)]
#[error("the payload store is unavailable")]
pub struct PayloadsUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where payloads are kept until they are erased. They come in with the append of their events.
#[async_trait]
pub trait PayloadStore: Send + Sync + 'static {
    /// Says that these are about to be stored with their events, and will probably be fetched by this process right away.
    async fn keep_at_hand(&self, _payloads: &[Payload]) {}

    /// The slices in the order asked for; `None` where the payload is erased (or shorter).
    async fn fetch(
        &self,
        slices: &[PayloadSlice],
    ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable>;

    /// Erases payloads; tells how many there were. Erasing again does nothing.
    async fn erase(&self, ids: &[PayloadId]) -> Result<u64, PayloadsUnavailable>;

    /// The payloads that there are, in the order of their ids: at most `limit` after `after`.
    async fn stored(
        &self,
        after: Option<PayloadId>,
        limit: usize,
    ) -> Result<Vec<PayloadId>, PayloadsUnavailable>;
}

/// Takes payloads for a log that stands elsewhere and cannot erase single events.
///
/// Two systems cannot commit together: payloads come first, so that no stored event points to bytes that were never kept.
/// What is left over when the append then fails, or when an append is repeated after its payloads were erased, belongs to no
/// live event; a sweep removes it.
#[async_trait]
pub trait PayloadSink: Send + Sync + 'static {
    /// Keeps the payloads that are not kept yet. When this returns, they survive the death of any process.
    async fn keep(&self, payloads: &[Payload]) -> Result<(), PayloadsUnavailable>;
}
