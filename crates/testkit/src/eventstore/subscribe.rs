//! Reads that never end.

use std::sync::Arc;

use events::{Batch, Family, Position, Recorded, Revision};
use futures::stream::{self, BoxStream, StreamExt as _};
use tonic::Status;

use super::convert::{Spacing, read_event, response, stream_id, unreadable};
use super::faults::Faults;
use super::service::Service;
use super::wire::streams::ReadResp;
use super::wire::streams::read_req::Options;
use super::wire::streams::read_req::options::all_options::AllOption;
use super::wire::streams::read_req::options::filter_options::{Filter, Window};
use super::wire::streams::read_req::options::stream_options::RevisionOption;
use super::wire::streams::read_req::options::{FilterOption, FilterOptions, StreamOption};
use super::wire::streams::read_resp::{CaughtUp, Content, SubscriptionConfirmation};

/// How many events the server looks at between two checkpoints, times the client's multiplier, if it says no number.
const WINDOW: u32 = 32;

pub(super) async fn subscribe(
    service: &Arc<Service>,
    options: Options,
) -> Result<BoxStream<'static, Result<ReadResp, Status>>, Status> {
    let head = service.store.head().await.map_err(unreadable)?;
    let (selection, after) = match options.stream_option {
        Some(StreamOption::All(of)) => {
            let after = match of.all_option {
                Some(AllOption::Position(position)) => service.spacing.at_or_before(position),
                Some(AllOption::End(_)) => head,
                Some(AllOption::Start(_)) | None => Position::START,
            };
            (Selection::of(options.filter_option)?, after)
        }
        Some(StreamOption::Stream(of)) => {
            let stream = stream_id(of.stream_identifier)?;
            let (after, from) = match of.revision_option {
                Some(RevisionOption::Revision(last)) => (Position::START, Revision(last + 1)),
                Some(RevisionOption::End(_)) => (head, Revision::FIRST),
                Some(RevisionOption::Start(_)) | None => (Position::START, Revision::FIRST),
            };
            (Selection::Stream(stream, from), after)
        }
        None => {
            return Err(Status::invalid_argument(
                "a subscription names a stream, or all",
            ));
        }
    };
    let prefixes = selection.prefixes();
    service.faults.note(|seen| seen.filters.push(prefixes));
    let mut progress = Progress {
        selection,
        spacing: service.spacing,
        faults: service.faults.clone(),
        head,
        caught_up: false,
        considered: 0,
    };
    let mut opening = vec![response(Content::Confirmation(SubscriptionConfirmation {
        subscription_id: "double".to_owned(),
    }))];
    opening.extend(progress.caught_up(after));
    let batches = service.store.follow(after, &Family::ALL);
    let answers = batches.flat_map(move |batch| {
        let answers = match batch {
            Ok(batch) => progress.answers(batch).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(unreadable(error))],
        };
        stream::iter(answers)
    });
    Ok(stream::iter(opening.into_iter().map(Ok))
        .chain(answers)
        .boxed())
}

enum Selection {
    All,
    Stream(events::StreamId, Revision),
    Filtered { filter: Filter, interval: u32 },
}

impl Selection {
    fn of(option: Option<FilterOption>) -> Result<Self, Status> {
        let Some(FilterOption::Filter(options)) = option else {
            return Ok(Self::All);
        };
        let FilterOptions {
            filter,
            window,
            checkpoint_interval_multiplier,
        } = options;
        let filter =
            filter.ok_or_else(|| Status::invalid_argument("a filter filters by something"))?;
        let (Filter::StreamIdentifier(by) | Filter::EventType(by)) = &filter;
        if !by.regex.is_empty() {
            return Err(Status::unimplemented("the double filters by prefix only"));
        }
        let window = match window {
            Some(Window::Max(max)) => max.max(1),
            Some(Window::Count(_)) | None => WINDOW,
        };
        let interval = window.saturating_mul(checkpoint_interval_multiplier.max(1));
        Ok(Self::Filtered { filter, interval })
    }

    fn prefixes(&self) -> Vec<String> {
        match self {
            Self::All | Self::Stream(..) => Vec::new(),
            Self::Filtered {
                filter: Filter::StreamIdentifier(by) | Filter::EventType(by),
                ..
            } => by.prefix.clone(),
        }
    }

    fn wants(&self, event: &Recorded) -> bool {
        match self {
            Self::All => true,
            Self::Stream(stream, from) => event.stream == *stream && event.revision >= *from,
            Self::Filtered { filter, .. } => match filter {
                Filter::StreamIdentifier(by) => {
                    let name = event.stream.to_string();
                    by.prefix.iter().any(|prefix| name.starts_with(prefix))
                }
                Filter::EventType(by) => by
                    .prefix
                    .iter()
                    .any(|prefix| event.type_name.starts_with(prefix)),
            },
        }
    }
}

/// How far one subscription has come.
struct Progress {
    selection: Selection,
    spacing: Spacing,
    faults: Arc<Faults>,
    /// Of the log, when the subscription began.
    head: Position,
    caught_up: bool,
    /// Events since the last checkpoint.
    considered: u32,
}

impl Progress {
    fn answers(&mut self, batch: Batch) -> Vec<ReadResp> {
        let mut answers = Vec::with_capacity(batch.events.len());
        for event in batch.events {
            let position = event.position;
            if self.selection.wants(&event) {
                self.faults.note(|seen| seen.events += 1);
                answers.push(read_event(event, self.spacing));
            }
            answers.extend(self.checkpoint(position));
        }
        answers.extend(self.caught_up(batch.through));
        answers
    }

    /// A checkpoint after every so many events, wanted or not, as the real server sends them: none in between.
    fn checkpoint(&mut self, position: Position) -> Option<ReadResp> {
        let Selection::Filtered { interval, .. } = self.selection else {
            return None;
        };
        self.considered += 1;
        (self.considered >= interval).then(|| {
            self.considered = 0;
            response(Content::Checkpoint(self.spacing.position(position)))
        })
    }

    fn caught_up(&mut self, through: Position) -> Option<ReadResp> {
        let now = !self.caught_up && through >= self.head;
        self.caught_up |= now;
        now.then(|| response(Content::CaughtUp(CaughtUp {})))
    }
}
