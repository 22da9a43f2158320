//! Where appends wait for the next batch: bounded in requests and in bytes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use events::codec;
use events::store::{Append, AppendError, Appended};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::cause;
use crate::options::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS, Options};

/// What an append is answered.
pub(crate) type Outcome = Result<Appended, AppendError>;

/// A full queue is worked off well within this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An append that waits for its answer.
pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) answer: oneshot::Sender<Outcome>,
    /// Its bytes count against the queue until it is answered.
    _room: OwnedSemaphorePermit,
}

/// The entrance.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

/// The exit.
pub(crate) struct Waiting {
    requests: mpsc::Receiver<Request>,
    /// Did not fit the batch before.
    carried: Option<Request>,
    shutdown: CancellationToken,
    batch_events: usize,
    batch_bytes: usize,
}

/// An append that no caller may make.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("an append without events")]
    NoEvents,
    #[error("a write without events, to stream {0}")]
    EmptyWrite(String),
    #[error("an append with two writes to stream {0}")]
    StreamTwice(String),
    #[error("an append with event id {0} twice")]
    IdTwice(String),
    #[error("{0} is not a type of the {1} family")]
    UnknownType(&'static str, events::Family),
}

/// Both ends of a queue. It closes at `shutdown`; what waits then still comes out.
pub(crate) fn queue(options: &Options, shutdown: CancellationToken) -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::channel(options.queue_requests);
    let queue = Queue {
        requests: sender,
        room: Arc::new(Semaphore::new(options.queue_bytes)),
    };
    let waiting = Waiting {
        requests: receiver,
        carried: None,
        shutdown,
        batch_events: options.batch_events,
        batch_bytes: options.batch_bytes,
    };
    (queue, waiting)
}

impl Queue {
    /// Waits for the answer to `append`; refuses at once if there is no room.
    pub(crate) async fn submit(&self, append: Append) -> Outcome {
        check(&append)?;
        let overloaded = || AppendError::Overloaded {
            retry_after: RETRY_AFTER,
        };
        let bytes = u32::try_from(append.size()).expect("the size is checked");
        let room = self
            .room
            .clone()
            .try_acquire_many_owned(bytes)
            .map_err(|_| overloaded())?;
        let (answer, answered) = oneshot::channel();
        let request = Request {
            append,
            answer,
            _room: room,
        };
        self.requests
            .try_send(request)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => overloaded(),
                mpsc::error::TrySendError::Closed(_) => {
                    AppendError::Unavailable("the appender has stopped".into())
                }
            })?;
        answered.await.unwrap_or_else(|_| {
            Err(AppendError::Unavailable(
                "the appender died; the outcome is unknown".into(),
            ))
        })
    }
}

/// Refuses what would fail anyway, before it can spoil a batch.
fn check(append: &Append) -> Result<(), AppendError> {
    let (events, bytes) = (append.len(), append.size());
    if events > MAX_APPEND_EVENTS
        || append.guards.len() > MAX_APPEND_EVENTS
        || bytes > MAX_APPEND_BYTES
    {
        return Err(AppendError::TooLarge { events, bytes });
    }
    well_formed(append).map_err(|malformed| AppendError::Unavailable(cause(malformed)))
}

fn well_formed(append: &Append) -> Result<(), Malformed> {
    if append.writes.is_empty() {
        return Err(Malformed::NoEvents);
    }
    let mut streams = HashSet::new();
    let mut ids = HashSet::new();
    for write in &append.writes {
        if write.events.is_empty() {
            return Err(Malformed::EmptyWrite(write.stream.to_string()));
        }
        if !streams.insert(&write.stream) {
            return Err(Malformed::StreamTwice(write.stream.to_string()));
        }
        for event in &write.events {
            let family = write.stream.family();
            if codec::type_code(family, event.type_name).is_none() {
                return Err(Malformed::UnknownType(event.type_name, family));
            }
            if !ids.insert(event.id) {
                return Err(Malformed::IdTwice(event.id.uuid().to_string()));
            }
        }
    }
    Ok(())
}

impl Waiting {
    /// What is waiting, up to the bounds of a batch; waits for the first. `None` once closed and empty.
    pub(crate) async fn batch(&mut self) -> Option<Vec<Request>> {
        let first = match self.carried.take() {
            Some(request) => request,
            None => self.first().await?,
        };
        // Whoever was woken by the last answers gets to append again before this batch leaves.
        tokio::task::yield_now().await;
        let (mut events, mut bytes) = (first.append.len(), first.append.size());
        let mut batch = vec![first];
        while let Ok(request) = self.requests.try_recv() {
            events += request.append.len();
            bytes += request.append.size();
            if events > self.batch_events || bytes > self.batch_bytes {
                self.carried = Some(request);
                break;
            }
            batch.push(request);
        }
        Some(batch)
    }

    async fn first(&mut self) -> Option<Request> {
        tokio::select! {
            request = self.requests.recv() => return request,
            () = self.shutdown.cancelled() => self.requests.close(),
        }
        self.requests.recv().await
    }
}
