//! Appends, alone and in sessions.

use std::sync::Arc;

use events::{Append, AppendError, Appended, Expected, Position, Revision, StreamId};
use futures::stream::{BoxStream, StreamExt as _};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};

use super::convert::{
    Spacing, Standing, identifier, new_event, standing, standing_in_batch, stream_id,
};
use super::faults::Cut;
use super::service::Service;
use super::wire::streams::append_req::Content;
use super::wire::streams::append_resp::{self, Success, WrongExpectedVersion, success};
use super::wire::streams::batch_append_resp;
use super::wire::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, ProposedMessage,
};
use super::wire::{self, Empty};

/// How many bytes of events the server takes in one append, as the real one by default.
const MAX_APPEND: usize = 1 << 20;
/// How many appends of a session are worked on at a time.
const IN_FLIGHT: usize = 512;

struct Proposal {
    stream: StreamId,
    standing: Standing,
    messages: Vec<ProposedMessage>,
}

enum Outcome {
    Stored(Appended),
    Conflict {
        standing: Standing,
        actual: Option<Revision>,
    },
}

pub(super) async fn append(
    service: &Service,
    mut requests: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let Some(Content::Options(options)) = requests.message().await?.and_then(|r| r.content) else {
        return Err(Status::invalid_argument(
            "an append begins with its options",
        ));
    };
    let mut proposal = Proposal {
        stream: stream_id(options.stream_identifier)?,
        standing: standing(options.expected),
        messages: Vec::new(),
    };
    while let Some(request) = requests.message().await? {
        if let Some(Content::ProposedMessage(message)) = request.content {
            proposal.messages.push(message);
        }
    }
    let result = match store(service, proposal).await? {
        Outcome::Stored(appended) => {
            append_resp::Result::Success(success(&appended, service.spacing))
        }
        Outcome::Conflict { standing, actual } => {
            append_resp::Result::WrongExpectedVersion(conflict(standing, actual))
        }
    };
    Ok(AppendResp {
        result: Some(result),
    })
}

/// A session: appends that are answered one by one. A conflict is an answer; the session goes on.
pub(super) fn batch(
    service: Arc<Service>,
    requests: Streaming<BatchAppendReq>,
) -> BoxStream<'static, Result<BatchAppendResp, Status>> {
    requests
        .map(move |request| {
            let service = service.clone();
            async move { answer(&service, request?).await }
        })
        .buffered(IN_FLIGHT)
        .boxed()
}

async fn answer(service: &Service, request: BatchAppendReq) -> Result<BatchAppendResp, Status> {
    let options = request.options.unwrap_or_default();
    let stream = stream_id(options.stream_identifier)?;
    let proposal = Proposal {
        stream: stream.clone(),
        standing: standing_in_batch(options.expected),
        messages: request.proposed_messages,
    };
    let result = match store(service, proposal).await {
        Ok(Outcome::Stored(appended)) => {
            batch_append_resp::Result::Success(success(&appended, service.spacing))
        }
        Ok(Outcome::Conflict { standing, actual }) => {
            batch_append_resp::Result::Error(conflict_status(standing, actual))
        }
        Err(status) => batch_append_resp::Result::Error(wire::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: None,
        }),
    };
    Ok(BatchAppendResp {
        correlation_id: request.correlation_id,
        result: Some(result),
        stream_identifier: Some(identifier(&stream)),
    })
}

async fn store(service: &Service, proposal: Proposal) -> Result<Outcome, Status> {
    let Proposal {
        stream,
        standing,
        messages,
    } = proposal;
    let cut = service.faults.begin_append().await?;
    if cut == Some(Cut::BeforeStored) {
        service.faults.drop_connections();
        return Err(Status::aborted("cut, as ordered"));
    }
    let size = messages
        .iter()
        .map(|m| m.data.len() + m.custom_metadata.len())
        .sum::<usize>();
    if size > MAX_APPEND {
        return Err(too_large());
    }
    let expected = match service.expectation(&stream, standing).await? {
        Ok(expected) => expected,
        Err(actual) => return Ok(Outcome::Conflict { standing, actual }),
    };
    let events = messages
        .into_iter()
        .map(|message| new_event(&stream, message));
    let append = Append::one(stream.clone(), expected, events.collect::<Result<_, _>>()?);
    if append.is_empty() {
        return Err(Status::invalid_argument("an append has an event at least"));
    }
    let outcome = match service.store.append(append).await {
        Ok(appended) => Outcome::Stored(appended),
        Err(AppendError::WrongRevision { actual, .. }) => Outcome::Conflict { standing, actual },
        // Some of the ids are there and others not: the real server finds a conflict as well.
        Err(AppendError::IdReused { .. }) => {
            let actual = service.last_revision(&stream).await?;
            Outcome::Conflict { standing, actual }
        }
        Err(error @ AppendError::TooLarge { .. }) => {
            return Err(Status::invalid_argument(error.to_string()));
        }
        Err(error) => return Err(Status::unavailable(error.to_string())),
    };
    if cut == Some(Cut::AfterStored) {
        service.faults.drop_connections();
        return Err(Status::aborted("cut, as ordered"));
    }
    Ok(outcome)
}

fn too_large() -> Status {
    let mut headers = MetadataMap::new();
    let kind = "maximum-append-size-exceeded"
        .parse()
        .expect("a header value");
    headers.insert("exception", kind);
    let message = format!("an append has at most {MAX_APPEND} bytes");
    Status::with_metadata(Code::InvalidArgument, message, headers)
}

fn success(appended: &Appended, spacing: Spacing) -> Success {
    let revision = appended.revisions.last().map_or(0, |revision| revision.0);
    let position = match appended.position {
        Position::START => success::PositionOption::NoPosition(Empty {}),
        position => success::PositionOption::Position(spacing.position(position)),
    };
    Success {
        current_revision_option: Some(success::CurrentRevisionOption::CurrentRevision(revision)),
        position_option: Some(position),
    }
}

fn conflict(standing: Standing, actual: Option<Revision>) -> WrongExpectedVersion {
    use append_resp::wrong_expected_version::{CurrentRevisionOption, ExpectedRevisionOption};
    let expected = match standing {
        Standing::As(Expected::Exact(revision)) => {
            ExpectedRevisionOption::ExpectedRevision(revision.0)
        }
        Standing::As(Expected::NoStream) => ExpectedRevisionOption::ExpectedNoStream(Empty {}),
        Standing::As(Expected::Any) => ExpectedRevisionOption::ExpectedAny(Empty {}),
        Standing::Exists => ExpectedRevisionOption::ExpectedStreamExists(Empty {}),
    };
    let current = match actual {
        Some(revision) => CurrentRevisionOption::CurrentRevision(revision.0),
        None => CurrentRevisionOption::CurrentNoStream(Empty {}),
    };
    WrongExpectedVersion {
        current_revision_option: Some(current),
        expected_revision_option: Some(expected),
    }
}

fn conflict_status(standing: Standing, actual: Option<Revision>) -> wire::Status {
    use wire::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};
    let expected = match standing {
        Standing::As(Expected::Exact(revision)) => {
            ExpectedStreamPositionOption::ExpectedStreamPosition(revision.0)
        }
        Standing::As(Expected::NoStream) => {
            ExpectedStreamPositionOption::ExpectedNoStream(Empty {})
        }
        Standing::As(Expected::Any) => ExpectedStreamPositionOption::ExpectedAny(Empty {}),
        Standing::Exists => ExpectedStreamPositionOption::ExpectedStreamExists(Empty {}),
    };
    let current = match actual {
        Some(revision) => CurrentStreamRevisionOption::CurrentStreamRevision(revision.0),
        None => CurrentStreamRevisionOption::CurrentNoStream(Empty {}),
    };
    let details = wire::WrongExpectedVersion {
        current_stream_revision_option: Some(current),
        expected_stream_position_option: Some(expected),
    };
    wire::Status {
        code: Code::Unknown.into(),
        message: "WrongExpectedVersion".to_owned(),
        details: Some(wire::Detail {
            type_url: "type.googleapis.com/event_store.client.WrongExpectedVersion".to_owned(),
            value: details.encode_to_vec().into(),
        }),
    }
}
