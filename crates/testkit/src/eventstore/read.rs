//! Reads that end.

use std::sync::Arc;

use events::{Family, Position, Recorded, Revision, StreamId};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tonic::Status;

use super::convert::{identifier, read_event, response, stream_id, unreadable};
use super::delete::{Gone, stream_deleted};
use super::service::{PAGE, Service};
use super::wire::streams::ReadResp;
use super::wire::streams::read_req::Options;
use super::wire::streams::read_req::options::all_options::AllOption;
use super::wire::streams::read_req::options::stream_options::RevisionOption;
use super::wire::streams::read_req::options::{
    AllOptions, FilterOption, ReadDirection, StreamOption, StreamOptions,
};
use super::wire::streams::read_resp::{Content, StreamNotFound};

type Answers = BoxStream<'static, Result<ReadResp, Status>>;
type Pages = BoxStream<'static, Result<Vec<Recorded>, Status>>;

pub(super) async fn read(
    service: Arc<Service>,
    options: Options,
    count: u64,
) -> Result<Answers, Status> {
    service.faults.note(|seen| seen.reads += 1);
    if matches!(options.filter_option, Some(FilterOption::Filter(_))) {
        return Err(Status::unimplemented(
            "the double filters subscriptions only",
        ));
    }
    let (spacing, faults) = (service.spacing, service.faults.clone());
    let backwards = options.read_direction() == ReadDirection::Backwards;
    let pages = match options.stream_option {
        Some(StreamOption::Stream(of)) => {
            let stream = stream_id(of.stream_identifier.clone())?;
            if !is_there(&service, &stream).await? {
                let missing = StreamNotFound {
                    stream_identifier: Some(identifier(&stream)),
                };
                let answer = response(Content::StreamNotFound(missing));
                return Ok(stream::iter([Ok(answer)]).boxed());
            }
            of_stream(service, stream, &of, backwards).await?
        }
        Some(StreamOption::All(of)) => of_all(service, &of, backwards).await?,
        None => return Err(Status::invalid_argument("a read names a stream, or all")),
    };
    let events = pages
        .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
        .try_flatten();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(events
        .take(count)
        .map_ok(move |event| {
            faults.note(|seen| seen.events += 1);
            read_event(event, spacing)
        })
        .boxed())
}

async fn is_there(service: &Service, stream: &StreamId) -> Result<bool, Status> {
    match service.deleted.get(stream) {
        Some(Gone::Hard) => Err(stream_deleted(stream)),
        Some(Gone::Soft(hidden)) => Ok(service.last_revision(stream).await? > Some(hidden)),
        None => {
            let first = service.store.read(stream, Revision::FIRST, 1).await;
            Ok(!first.map_err(unreadable)?.is_empty())
        }
    }
}

async fn of_stream(
    service: Arc<Service>,
    stream: StreamId,
    options: &StreamOptions,
    backwards: bool,
) -> Result<Pages, Status> {
    let first = match service.deleted.get(&stream) {
        Some(Gone::Soft(hidden)) => hidden.next(),
        _ => Revision::FIRST,
    };
    let last = service
        .last_revision(&stream)
        .await?
        .unwrap_or(Revision::FIRST);
    let from = match options.revision_option {
        Some(RevisionOption::Revision(revision)) => Revision(revision),
        Some(RevisionOption::End(_)) if backwards => last,
        Some(RevisionOption::End(_)) => last.next(),
        Some(RevisionOption::Start(_)) | None => Revision::FIRST,
    };
    if backwards {
        Ok(stream_backwards(service, stream, first, from.min(last)))
    } else {
        Ok(stream_forwards(service, stream, from.max(first)))
    }
}

fn stream_forwards(service: Arc<Service>, stream: StreamId, from: Revision) -> Pages {
    let page = move |from: Revision| {
        let (service, stream) = (service.clone(), stream.clone());
        async move {
            let page = service
                .store
                .read(&stream, from, PAGE)
                .await
                .map_err(unreadable)?;
            let next = page.last().map(|event| event.revision.next());
            Ok(next.map(|next| (page, next)))
        }
    };
    stream::try_unfold(from, page).boxed()
}

/// From `last` down to `first`. The port reads forwards, so each page is read forwards and turned around.
fn stream_backwards(
    service: Arc<Service>,
    stream: StreamId,
    first: Revision,
    last: Revision,
) -> Pages {
    let page = move |below: u64| {
        let (service, stream) = (service.clone(), stream.clone());
        async move {
            if below <= first.0 {
                return Ok(None);
            }
            let from = below.saturating_sub(PAGE as u64).max(first.0);
            let page = service.store.read(&stream, Revision(from), PAGE).await;
            let mut page = page.map_err(unreadable)?;
            page.retain(|event| event.revision.0 < below);
            page.reverse();
            Ok(Some((page, from)))
        }
    };
    stream::try_unfold(last.0 + 1, page).boxed()
}

async fn of_all(
    service: Arc<Service>,
    options: &AllOptions,
    backwards: bool,
) -> Result<Pages, Status> {
    let head = service.store.head().await.map_err(unreadable)?;
    let from = match options.all_option {
        Some(AllOption::Position(position)) => service.spacing.at_or_after(position),
        Some(AllOption::End(_)) => Position(head.0 + 1),
        Some(AllOption::Start(_)) | None => Position::START,
    };
    if backwards {
        Ok(all_backwards(service, from.0.min(head.0 + 1)))
    } else {
        // The protocol's reads begin with the event at the position, the port's after it.
        Ok(all_forwards(service, Position(from.0.saturating_sub(1))))
    }
}

fn all_forwards(service: Arc<Service>, after: Position) -> Pages {
    let page = move |after: Position| {
        let service = service.clone();
        async move {
            let batch = service.store.read_all(after, &Family::ALL, PAGE).await;
            let batch = batch.map_err(unreadable)?;
            Ok((!batch.events.is_empty()).then_some((batch.events, batch.through)))
        }
    };
    stream::try_unfold(after, page).boxed()
}

/// Everything before the position `below`. A stretch of so many positions holds at most so many events.
fn all_backwards(service: Arc<Service>, below: u64) -> Pages {
    let page = move |below: u64| {
        let service = service.clone();
        async move {
            if below <= 1 {
                return Ok(None);
            }
            let after = (below - 1).saturating_sub(PAGE as u64);
            let batch = service
                .store
                .read_all(Position(after), &Family::ALL, PAGE)
                .await;
            let mut page = batch.map_err(unreadable)?.events;
            page.retain(|event| event.position.0 < below);
            page.reverse();
            Ok(Some((page, after + 1)))
        }
    };
    stream::try_unfold(below, page).boxed()
}
