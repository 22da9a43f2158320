//! Deleted streams. The port knows no deletion, so the double hides them itself.

use std::collections::HashMap;
use std::sync::Mutex;

use events::{Expected, Revision, StreamId};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::convert::{Standing, standing, stream_id};
use super::service::Service;
use super::wire::streams::StreamState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Hidden up to this revision; the next append makes it visible again.
    Soft(Revision),
    /// For ever.
    Hard,
}

#[derive(Default)]
pub(super) struct Deleted(Mutex<HashMap<StreamId, Gone>>);

impl Deleted {
    pub(super) fn get(&self, stream: &StreamId) -> Option<Gone> {
        let gone = self
            .0
            .lock()
            .expect("no thread panics while it holds the deleted streams");
        gone.get(stream).copied()
    }

    fn put(&self, stream: StreamId, gone: Gone) {
        let mut all = self
            .0
            .lock()
            .expect("no thread panics while it holds the deleted streams");
        all.insert(stream, gone);
    }
}

/// Deletes a stream, softly or for ever.
pub(super) async fn delete(
    service: &Service,
    options: Option<StreamState>,
    hard: bool,
) -> Result<(), Status> {
    let options = options.unwrap_or_default();
    let stream = stream_id(options.stream_identifier)?;
    let expected = standing(options.expected);
    if let Err(actual) = service.expectation(&stream, expected).await? {
        return Err(wrong_version(&stream, expected, actual));
    }
    let last = service.last_revision(&stream).await?;
    if let Standing::As(Expected::Exact(_) | Expected::NoStream) = expected
        && !matches!(expected, Standing::As(expected) if expected.admits(last))
    {
        return Err(wrong_version(&stream, expected, last));
    }
    match (hard, last) {
        (true, _) => service.deleted.put(stream, Gone::Hard),
        (false, Some(last)) => service.deleted.put(stream, Gone::Soft(last)),
        (false, None) => return Err(wrong_version(&stream, expected, None)),
    }
    Ok(())
}

/// The answer to every call on a stream that is gone for ever.
pub(super) fn stream_deleted(stream: &StreamId) -> Status {
    let mut headers = MetadataMap::new();
    headers.insert(
        "exception",
        "stream-deleted".parse().expect("a header value"),
    );
    let message = format!("stream {stream} is deleted");
    Status::with_metadata(Code::FailedPrecondition, message, headers)
}

fn wrong_version(stream: &StreamId, expected: Standing, actual: Option<Revision>) -> Status {
    let mut headers = MetadataMap::new();
    headers.insert(
        "exception",
        "wrong-expected-version".parse().expect("a header value"),
    );
    let message = format!("stream {stream} stands at {actual:?}, not at {expected:?}");
    Status::with_metadata(Code::FailedPrecondition, message, headers)
}
