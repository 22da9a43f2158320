//! Appends: one call a stream, in the order given, and the truth about what became of each.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use events::payload::Payload;
use events::store::StreamWrite;
use events::{
    Append, AppendError, Appended, EventId, Expected, NewEvent, Position, ReadError, Recorded,
    Revision, Timestamp,
};
use eventstore::{AppendToStreamOptions, Client, CurrentRevision, ExpectedRevision, RecordedEvent};
use futures::future::join_all;

use crate::cluster::{CallError, Cluster};
use crate::envelope::{position, size, to_event_data};
use crate::{Error, PayloadSink, read};

/// How far back a stream is searched for events that an append without expectations may have left there.
const SEARCHED: usize = 512;

/// What became of the append to one stream.
#[derive(Clone, Copy)]
struct Written {
    position: Position,
    revision: Revision,
}

/// How many positions are remembered: more than appends are ever under way at once.
const REMEMBERED: usize = 65_536;

/// Appends to the cluster.
#[derive(Default)]
pub(crate) struct Appender {
    /// The highest positions that were acknowledged here.
    acknowledged: Mutex<BTreeSet<Position>>,
}

impl Appender {
    /// The server answers a repeat like the first time. So a repeat is known by its position: nothing new stands at or
    /// below what was acknowledged before it was sent, nor where something else was acknowledged since. A repeat of what
    /// this process never saw acknowledged passes for new.
    fn is_repeat(&self, position: Position, before: Option<Position>) -> bool {
        let mut acknowledged = self.acknowledged();
        let known = !acknowledged.insert(position);
        if acknowledged.len() > REMEMBERED {
            acknowledged.pop_first();
        }
        known || Some(position) <= before
    }

    fn acknowledged(&self) -> MutexGuard<'_, BTreeSet<Position>> {
        self.acknowledged
            .lock()
            .expect("no thread panics while it holds the positions")
    }

    /// Writes the payloads, then stream after stream. Where there are several, all are looked at first, so that an
    /// ordinary conflict stores nothing.
    pub(crate) async fn append(
        &self,
        cluster: &Cluster,
        payloads: &dyn PayloadSink,
        append: Append,
        at: Timestamp,
    ) -> Result<Appended, AppendError> {
        check_size(&append, cluster.options().max_append)?;
        let before = self.acknowledged().last().copied();
        keep_payloads(payloads, &append).await?;
        let settled = match append.writes.as_slice() {
            [_] => vec![None],
            writes => look_ahead(cluster, writes).await?,
        };
        let mut written = Vec::with_capacity(append.writes.len());
        for (write, settled) in append.writes.iter().zip(settled) {
            written.push(match settled {
                Some(settled) => settled,
                None => store(cluster, write, at).await?,
            });
        }
        let position = written
            .iter()
            .map(|written| written.position)
            .max()
            .unwrap_or_default();
        Ok(Appended {
            position,
            revisions: written.iter().map(|written| written.revision).collect(),
            repeated: self.is_repeat(position, before),
        })
    }
}

fn check_size(append: &Append, limit: usize) -> Result<(), AppendError> {
    let fits = |write: &StreamWrite| write.events.iter().map(size).sum::<usize>() <= limit;
    if append.writes.iter().all(fits) {
        return Ok(());
    }
    Err(AppendError::TooLarge {
        events: append.len(),
        bytes: append.size(),
    })
}

async fn keep_payloads(sink: &dyn PayloadSink, append: &Append) -> Result<(), AppendError> {
    let events = append.writes.iter().flat_map(|write| &write.events);
    let payloads: Vec<Payload> = events.flat_map(|event| event.payloads.clone()).collect();
    if payloads.is_empty() {
        return Ok(());
    }
    sink.keep(&payloads)
        .await
        .map_err(|error| AppendError::Unavailable(Box::new(error)))
}

/// Finds conflicts before anything is written; tells which writes are done already.
async fn look_ahead(
    cluster: &Cluster,
    writes: &[StreamWrite],
) -> Result<Vec<Option<Written>>, AppendError> {
    let looks = join_all(writes.iter().map(|write| look(cluster, write))).await;
    looks.into_iter().collect()
}

async fn look(cluster: &Cluster, write: &StreamWrite) -> Result<Option<Written>, AppendError> {
    if write.expected == Expected::Any {
        return Ok(None);
    }
    let last = read::tail(cluster, &write.stream, 1)
        .await
        .map_err(|error| on(write, error))?;
    let actual = last.first().map(|event| Revision(event.revision));
    if write.expected.admits(actual) {
        Ok(None)
    } else {
        settle(cluster, write, actual).await.map(Some)
    }
}

/// Appends to one stream. An answer that was lost is asked for once more: the ids are the same, so nothing is stored
/// twice.
async fn store(
    cluster: &Cluster,
    write: &StreamWrite,
    at: Timestamp,
) -> Result<Written, AppendError> {
    match attempt(cluster, write, at).await {
        Err(CallError::Failed(error)) if error.is_transport() => {
            tracing::debug!(stream = %write.stream, %error, "appending again");
            // Where the stream may stand anywhere, the server recognises repeats from memory only.
            if write.expected == Expected::Any
                && let Found::All(written) = search(cluster, write, Expected::Any).await?
            {
                return Ok(written);
            }
            finish(cluster, write, attempt(cluster, write, at).await).await
        }
        outcome => finish(cluster, write, outcome).await,
    }
}

async fn attempt(
    cluster: &Cluster,
    write: &StreamWrite,
    at: Timestamp,
) -> Result<eventstore::WriteResult, CallError> {
    let name = &write.stream.to_string();
    let expected = match write.expected {
        Expected::Any => ExpectedRevision::Any,
        Expected::NoStream => ExpectedRevision::NoStream,
        Expected::Exact(revision) => ExpectedRevision::Exact(revision.0),
    };
    let options = &AppendToStreamOptions::default().expected_revision(expected);
    let append = |client: Client| {
        let events: Vec<_> = write
            .events
            .iter()
            .map(|event| to_event_data(event, at))
            .collect();
        async move {
            client
                .append_to_stream(name.as_str(), options, events)
                .await
        }
    };
    cluster.call(append).await
}

async fn finish(
    cluster: &Cluster,
    write: &StreamWrite,
    outcome: Result<eventstore::WriteResult, CallError>,
) -> Result<Written, AppendError> {
    match outcome {
        Ok(result) => {
            let revision = Revision(result.next_expected_version);
            let position = match position(result.position) {
                // A server may recognise a repeat and not say where the events are.
                None | Some(Position::START) => locate(cluster, write, revision).await?,
                Some(position) => position,
            };
            Ok(Written { position, revision })
        }
        Err(CallError::Conflict(CurrentRevision::Current(actual))) => {
            settle(cluster, write, Some(Revision(actual))).await
        }
        Err(CallError::Conflict(CurrentRevision::NoStream)) => settle(cluster, write, None).await,
        Err(error) => Err(on(write, error)),
    }
}

async fn locate(
    cluster: &Cluster,
    write: &StreamWrite,
    revision: Revision,
) -> Result<Position, AppendError> {
    let events = read::stream(cluster, &write.stream, revision, 1)
        .await
        .map_err(unread)?;
    let gone = || {
        Error::Other(format!(
            "{} has no revision {revision} any more",
            write.stream
        ))
    };
    Ok(events.first().ok_or_else(gone)?.position)
}

/// The stream does not stand as expected: because these very events stand there, or some of them, or others.
async fn settle(
    cluster: &Cluster,
    write: &StreamWrite,
    actual: Option<Revision>,
) -> Result<Written, AppendError> {
    // Where the stream does stand as expected, only ids can be in the way.
    let ids_only = write.expected.admits(actual);
    let place = if ids_only {
        Expected::Any
    } else {
        write.expected
    };
    match search(cluster, write, place).await? {
        Found::All(written) => Ok(written),
        Found::Some(id) => Err(AppendError::IdReused { id }),
        Found::None => match write.events.first() {
            Some(first) if ids_only => Err(AppendError::IdReused { id: first.id }),
            _ => {
                let (stream, expected) = (write.stream.clone(), write.expected);
                Err(AppendError::WrongRevision {
                    stream,
                    expected,
                    actual,
                })
            }
        },
    }
}

enum Found {
    /// All of them, in their order.
    All(Written),
    /// This one, but not all.
    Some(EventId),
    None,
}

/// Looks for the events of `write` where they would stand behind `place`, or, if that is anywhere, near the end of the
/// stream.
async fn search(
    cluster: &Cluster,
    write: &StreamWrite,
    place: Expected,
) -> Result<Found, AppendError> {
    let count = write.events.len();
    let from = match place {
        Expected::NoStream => Some(Revision::FIRST),
        Expected::Exact(revision) => Some(revision.next()),
        Expected::Any => None,
    };
    let stored: Vec<(EventId, Written)> = if let Some(from) = from {
        let events = read::stream(cluster, &write.stream, from, count)
            .await
            .map_err(unread)?;
        let written = events.into_iter().map(|event| {
            let Recorded {
                id,
                position,
                revision,
                ..
            } = event;
            (id, Written { position, revision })
        });
        written.collect()
    } else {
        let tail = read::tail(cluster, &write.stream, SEARCHED + count).await;
        let tail = tail.map_err(|error| on(write, error))?;
        tail.iter().rev().filter_map(identify).collect()
    };
    Ok(compare(&write.events, &stored))
}

fn identify(event: &RecordedEvent) -> Option<(EventId, Written)> {
    let written = Written {
        position: position(event.position)?,
        revision: Revision(event.revision),
    };
    Some((EventId::from_uuid(event.id), written))
}

fn compare(events: &[NewEvent], stored: &[(EventId, Written)]) -> Found {
    let find = |event: &NewEvent| stored.iter().find(|(id, _)| *id == event.id);
    match (events.iter().find_map(find), events.last()) {
        (None, _) | (_, None) => Found::None,
        (Some((first, _)), Some(last)) => match find(last) {
            Some((_, written)) if events.iter().all(|event| find(event).is_some()) => {
                Found::All(*written)
            }
            _ => Found::Some(*first),
        },
    }
}

fn on(write: &StreamWrite, error: CallError) -> AppendError {
    error.on_stream(&write.stream.to_string()).into()
}

fn unread(error: ReadError) -> AppendError {
    AppendError::Unavailable(Box::new(error))
}
