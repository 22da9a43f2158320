//! Reads that end. Long ones go page by page, so that each page has the deadline to itself.

use std::sync::Arc;

use events::{Batch, Family, Position, ReadError, Recorded, Revision, StreamId};
use eventstore::{
    Client, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent, StreamPosition,
};
use futures::TryStreamExt as _;

use crate::cluster::{CallError, Cluster};
use crate::envelope::{family, position, to_recorded};
use crate::follow::scan;

/// How the log as a whole is called in errors.
const ALL: &str = "$all";

/// How many events are asked for at a time, at the most.
const PAGE: usize = 1_000;

/// One call, read to its end; once more if the connection breaks, since reading changes nothing.
async fn page<F>(
    cluster: &Cluster,
    read: impl Fn(Client) -> F + Clone,
) -> Result<Vec<RecordedEvent>, CallError>
where
    F: Future<Output = eventstore::Result<ReadStream>>,
{
    let whole = |client| {
        let read = read.clone();
        async move {
            let mut reading = read(client).await?;
            let mut events = Vec::new();
            while let Some(mut event) = reading.next().await? {
                events.extend(event.link.take().or(event.event));
            }
            Ok(events)
        }
    };
    match cluster.call(whole).await {
        Err(CallError::Failed(error)) if error.is_transport() => cluster.call(whole).await,
        outcome => outcome,
    }
}

/// At most `limit` events of a stream from revision `from` on.
pub(crate) async fn stream(
    cluster: &Cluster,
    stream: &StreamId,
    from: Revision,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let name = &stream.to_string();
    let mut recorded = Vec::new();
    let mut next = from;
    while recorded.len() < limit {
        let count = PAGE.min(limit - recorded.len());
        let options = &ReadStreamOptions::default()
            .position(StreamPosition::Position(next.0))
            .max_count(count);
        let read = |client: Client| async move { client.read_stream(name.as_str(), options).await };
        let events = match page(cluster, read).await {
            Ok(events) => events,
            Err(CallError::NotFound) => break,
            Err(error) => return Err(error.on_stream(name).into()),
        };
        for event in &events {
            recorded.push(to_recorded(event)?);
        }
        match recorded.last() {
            Some(last) if events.len() == count => next = last.revision.next(),
            _ => break,
        }
    }
    Ok(recorded)
}

/// The last `limit` events of a stream, the latest first.
pub(crate) async fn tail(
    cluster: &Cluster,
    stream: &StreamId,
    limit: usize,
) -> Result<Vec<RecordedEvent>, CallError> {
    let name = &stream.to_string();
    let options = &ReadStreamOptions::default()
        .position(StreamPosition::End)
        .max_count(limit);
    let read = |client: Client| async move { client.read_stream(name.as_str(), options).await };
    match page(cluster, read).await {
        Err(CallError::NotFound) => Ok(Vec::new()),
        outcome => outcome,
    }
}

/// The stretch after `after`. The protocol cannot filter reads that end, in this client's version, so the events of
/// other families travel, too: of one page at the most, since the server filters what lies behind.
pub(crate) async fn all(
    cluster: &Arc<Cluster>,
    after: Position,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let mut batch = Batch {
        events: Vec::new(),
        through: after,
    };
    let filters = Family::ALL.iter().any(|it| !families.contains(it));
    while batch.events.len() < limit {
        if filters && batch.through > after {
            return filtered(cluster, batch, families, limit).await;
        }
        let events = all_page(cluster, batch.through).await?;
        let Some(last) = events.last() else {
            break;
        };
        // The first of a page is the last of the page before.
        let is_end = events.len() < PAGE || last.position.commit <= batch.through.0;
        for event in events {
            if event.position.commit <= batch.through.0 {
                continue;
            }
            if family(&event.stream_id).is_some_and(|family| families.contains(&family)) {
                if batch.events.len() == limit {
                    return Ok(batch);
                }
                batch.events.push(to_recorded(&event)?);
            }
            // An event of somebody else in the middle of a transaction is no place to begin again.
            batch.through = position(event.position).unwrap_or(batch.through);
        }
        if is_end {
            break;
        }
    }
    Ok(batch)
}

/// The batch, with what follows up to the head.
async fn filtered(
    cluster: &Arc<Cluster>,
    mut batch: Batch,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let head = head(cluster).await?;
    let room = limit - batch.events.len();
    let mut rest = scan(cluster, batch.through, head, families, room);
    while let Some(mut part) = rest.try_next().await? {
        part.events.truncate(limit - batch.events.len());
        batch.events.append(&mut part.events);
        batch.through = match batch.events.last() {
            Some(last) if batch.events.len() == limit => last.position,
            Some(_) | None => part.through,
        };
        if batch.events.len() == limit {
            break;
        }
    }
    Ok(batch)
}

async fn all_page(cluster: &Cluster, from: Position) -> Result<Vec<RecordedEvent>, ReadError> {
    let options = &ReadAllOptions::default()
        .position(start(from))
        .max_count(PAGE);
    let read = |client: Client| async move { client.read_all(options).await };
    page(cluster, read)
        .await
        .map_err(|error| error.on_stream(ALL).into())
}

/// Where the protocol begins to read. Position 0 is a record of the server's.
pub(crate) const fn start(after: Position) -> StreamPosition<eventstore::Position> {
    match after {
        Position::START => StreamPosition::Start,
        Position(position) => StreamPosition::Position(eventstore::Position {
            commit: position,
            prepare: position,
        }),
    }
}

/// The position of the last event of ours. What the server writes for itself does not count: no follower would ever
/// get there.
pub(crate) async fn head(cluster: &Cluster) -> Result<Position, ReadError> {
    let mut from = StreamPosition::End;
    let mut count = 1;
    loop {
        let options = &ReadAllOptions::default()
            .position(from)
            .backwards()
            .max_count(count);
        let read = |client: Client| async move { client.read_all(options).await };
        let events = page(cluster, read)
            .await
            .map_err(|error| error.on_stream(ALL))?;
        let ours = events
            .iter()
            .find(|event| family(&event.stream_id).is_some());
        if let Some(event) = ours {
            return to_recorded(event).map(|recorded| recorded.position);
        }
        match events.last() {
            Some(last) if events.len() == count => from = StreamPosition::Position(last.position),
            _ => return Ok(Position::START),
        }
        count = PAGE;
    }
}
