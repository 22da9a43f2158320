//! Appends: one call a stream, in the order given, and the truth about what became of each.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use events::payload::Payload;
use events::store::StreamWrite;
use events::{Append, AppendError, Appended, Expected, Position, Revision, Timestamp};
use eventstore::{AppendToStreamOptions, Client, CurrentRevision, EventData};
use futures::future::join_all;

use crate::cluster::{CallError, Cluster};
use crate::conflict::{Found, Written, on, search, settle, unread};
use crate::envelope::{position, size, to_event_data};
use crate::sessions::{Acknowledged, Sessions, Unacknowledged, expected_revision};
use crate::{Error, PayloadSink, read};

/// How many positions are remembered: more than appends are ever under way at once.
const REMEMBERED: usize = 65_536;

/// Appends to the cluster.
#[derive(Default)]
pub(crate) struct Appender {
    /// The highest positions that were acknowledged here.
    acknowledged: Mutex<BTreeSet<Position>>,
    sessions: Sessions,
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
        if !append.guards.is_empty() {
            return Err(AppendError::Unavailable(
                "a cluster compares a stream with what is expected only when it writes to it"
                    .into(),
            ));
        }
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
                None => store(cluster, &self.sessions, write, at).await?,
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

/// Appends to one stream: over a session, and if that does not acknowledge it, by a call of its own. The ids are the
/// same, so nothing is stored twice.
async fn store(
    cluster: &Cluster,
    sessions: &Sessions,
    write: &StreamWrite,
    at: Timestamp,
) -> Result<Written, AppendError> {
    let events = || {
        write
            .events
            .iter()
            .map(|event| to_event_data(event, at))
            .collect()
    };
    match sessions.append(cluster, write, events()).await {
        Ok(acknowledged) => return written(cluster, write, acknowledged).await,
        Err(Unacknowledged::Failed(error)) => return Err(error.into()),
        Err(Unacknowledged::Ended) => {}
    }
    // Where the stream may stand anywhere, the server recognises repeats from memory only.
    if write.expected == Expected::Any
        && let Found::All(written) = search(cluster, write, Expected::Any).await?
    {
        return Ok(written);
    }
    match call(cluster, write, events).await {
        Ok(acknowledged) => written(cluster, write, acknowledged).await,
        Err(CallError::Conflict(current)) => {
            let actual = match current {
                CurrentRevision::Current(revision) => Some(Revision(revision)),
                CurrentRevision::NoStream => None,
            };
            settle(cluster, write, actual).await
        }
        Err(error) => Err(on(write, error)),
    }
}

async fn call(
    cluster: &Cluster,
    write: &StreamWrite,
    events: impl Fn() -> Vec<EventData>,
) -> Result<Acknowledged, CallError> {
    let name = &write.stream.to_string();
    let options =
        &AppendToStreamOptions::default().expected_revision(expected_revision(write.expected));
    let append = |client: Client| {
        let events = events();
        async move {
            client
                .append_to_stream(name.as_str(), options, events)
                .await
        }
    };
    let result = cluster.call(append).await?;
    Ok(Acknowledged {
        revision: Revision(result.next_expected_version),
        // A position that the server did not tell shows as the first one.
        position: position(result.position).filter(|position| *position > Position::START),
    })
}

async fn written(
    cluster: &Cluster,
    write: &StreamWrite,
    Acknowledged { revision, position }: Acknowledged,
) -> Result<Written, AppendError> {
    let position = match position {
        Some(position) => position,
        None => locate(cluster, write, revision).await?,
    };
    Ok(Written { position, revision })
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
