//! The streams service.

use std::sync::Arc;

use events::{EventStore, Expected, Revision, StreamId};
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::{Spacing, Standing, unreadable};
use super::delete::{self, Deleted, Gone, stream_deleted};
use super::faults::Faults;
use super::wire::Empty;
use super::wire::streams::read_req::options::CountOption;
use super::wire::streams::streams_server::Streams;
use super::wire::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
    ReadResp, TombstoneReq, TombstoneResp, delete_resp, tombstone_resp,
};
use super::{append, read, subscribe};

/// How many events are read from the store at a time.
pub(super) const PAGE: usize = 256;

pub(super) struct Service {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) faults: Arc<Faults>,
    pub(super) deleted: Deleted,
    pub(super) spacing: Spacing,
}

impl Service {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        faults: Arc<Faults>,
        spacing: Spacing,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            faults,
            deleted: Deleted::default(),
            spacing,
        })
    }

    /// The revision of a stream's last event, deleted or not. The port reads forwards only.
    pub(super) async fn last_revision(
        &self,
        stream: &StreamId,
    ) -> Result<Option<Revision>, Status> {
        let mut last = None;
        loop {
            let from = last.map_or(Revision::FIRST, Revision::next);
            let page = self
                .store
                .read(stream, from, PAGE)
                .await
                .map_err(unreadable)?;
            match page.last() {
                Some(event) => last = Some(event.revision),
                None => return Ok(last),
            }
        }
    }

    /// What the store must find for `standing` to be met; where the stream stands if it cannot be.
    pub(super) async fn expectation(
        &self,
        stream: &StreamId,
        standing: Standing,
    ) -> Result<Result<Expected, Option<Revision>>, Status> {
        let gone = self.deleted.get(stream);
        if gone == Some(Gone::Hard) {
            return Err(stream_deleted(stream));
        }
        match standing {
            Standing::As(Expected::NoStream) => match (gone, self.last_revision(stream).await?) {
                (Some(Gone::Soft(hidden)), Some(last)) if hidden == last => {
                    Ok(Ok(Expected::Exact(last)))
                }
                _ => Ok(Ok(Expected::NoStream)),
            },
            Standing::As(expected) => Ok(Ok(expected)),
            Standing::Exists => match self.last_revision(stream).await? {
                Some(_) => Ok(Ok(Expected::Any)),
                None => Ok(Err(None)),
            },
        }
    }
}

#[tonic::async_trait]
impl Streams for Arc<Service> {
    type ReadStream = BoxStream<'static, Result<ReadResp, Status>>;
    type BatchAppendStream = BoxStream<'static, Result<BatchAppendResp, Status>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.faults.admit(request.metadata())?;
        let options = request.into_inner().options.unwrap_or_default();
        let answers = match options.count_option {
            Some(CountOption::Subscription(_)) => subscribe::subscribe(self, options).await?,
            Some(CountOption::Count(count)) => read::read(self.clone(), options, count).await?,
            None => {
                return Err(Status::invalid_argument(
                    "a read says how many, or subscribes",
                ));
            }
        };
        Ok(Response::new(answers))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        self.faults.admit(request.metadata())?;
        append::append(self, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        self.faults.admit(request.metadata())?;
        self.faults.note(|seen| seen.sessions += 1);
        Ok(Response::new(append::batch(
            self.clone(),
            request.into_inner(),
        )))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        self.faults.admit(request.metadata())?;
        delete::delete(self, request.into_inner().options, false).await?;
        let position = delete_resp::PositionOption::NoPosition(Empty {});
        Ok(Response::new(DeleteResp {
            position_option: Some(position),
        }))
    }

    async fn tombstone(
        &self,
        request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        self.faults.admit(request.metadata())?;
        delete::delete(self, request.into_inner().options, true).await?;
        let position = tombstone_resp::PositionOption::NoPosition(Empty {});
        Ok(Response::new(TombstoneResp {
            position_option: Some(position),
        }))
    }
}
