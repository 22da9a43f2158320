//! What stands in a stream that was not as expected.

use events::store::StreamWrite;
use events::{AppendError, EventId, Expected, NewEvent, Position, ReadError, Recorded, Revision};
use eventstore::RecordedEvent;

use crate::cluster::{CallError, Cluster};
use crate::envelope::position;
use crate::read;

/// How far back a stream is searched for events that an append without expectations may have left there.
const SEARCHED: usize = 512;

/// What became of the append to one stream.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) position: Position,
    pub(crate) revision: Revision,
}

/// The stream does not stand as expected: because these very events stand there, or some of them, or others.
pub(crate) async fn settle(
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

pub(crate) enum Found {
    /// All of them, in their order.
    All(Written),
    /// This one, but not all.
    Some(EventId),
    None,
}

/// Looks for the events of `write` where they would stand behind `place`, or, if that is anywhere, near the end of the
/// stream.
pub(crate) async fn search(
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

pub(crate) fn on(write: &StreamWrite, error: CallError) -> AppendError {
    error.on_stream(&write.stream.to_string()).into()
}

pub(crate) fn unread(error: ReadError) -> AppendError {
    AppendError::Unavailable(Box::new(error))
}
