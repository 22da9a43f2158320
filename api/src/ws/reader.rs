//! The reading half of a session: frames come in, requests are worked on, acknowledgements go to the desk.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite;
use tracing::debug;

use crate::limits::socket as limits;
use crate::ws::desk::Desk;
use crate::ws::ending::Ending;
use crate::ws::frame::{Frame, RequestFrame, ResponseFrame};
use crate::ws::requests::{Tunnel, answer, asks_for_much, refusal};
use crate::ws::session::write;

/// How long the requests that a socket has begun may take when it ends.
const COMPLETION: Duration = Duration::from_millis(500);

/// Answers the requests that come in over a socket.
pub(crate) type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// Requests of one socket that are being worked on, with the sizes of their bodies.
type Running = FuturesUnordered<BoxFuture<'static, usize>>;

/// Reads frames and works on the requests among them.
pub(super) struct Reader {
    tunnel: Tunnel,
    handler: Handler,
    desk: Arc<Desk>,
    outbox: mpsc::Sender<Message>,
    running: Running,
    /// Of the bodies of `running`.
    bytes: usize,
    /// Turns to make a large answer.
    turns: Arc<Semaphore>,
}

/// A large answer, as it is written. Its turn is over when it is dropped.
struct Large {
    frame: Bytes,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Reader {
    pub(super) fn new(
        tunnel: Tunnel,
        handler: Handler,
        desk: Arc<Desk>,
        outbox: mpsc::Sender<Message>,
    ) -> Self {
        let running = Running::new();
        Self {
            tunnel,
            handler,
            desk,
            outbox,
            running,
            bytes: 0,
            turns: Arc::new(Semaphore::new(limits::LARGE_ANSWERS)),
        }
    }

    /// Reads until the client leaves, is silent for too long, or sends what it must not. Whatever was `written` counts
    /// as a sign of life, too: the client reads.
    pub(super) async fn read(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        mut written: watch::Receiver<()>,
        idle: Duration,
    ) -> Ending {
        let mut silence = Box::pin(tokio::time::sleep(idle));
        loop {
            let may_read = self.running.is_empty()
                || (self.running.len() < limits::REQUESTS && self.bytes < limits::REQUEST_BYTES);
            tokio::select! {
                Some(bytes) = self.running.next(), if !self.running.is_empty() => self.bytes -= bytes,
                message = stream.next(), if may_read => {
                    if let Err(ending) = self.take(message) {
                        return ending;
                    }
                    silence.as_mut().reset(tokio::time::Instant::now() + idle);
                }
                Ok(()) = written.changed() => silence.as_mut().reset(tokio::time::Instant::now() + idle),
                () = silence.as_mut() => return Ending::Idle,
            }
        }
    }

    fn take(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Ending> {
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) if bytes.len() > limits::MESSAGE => {
                return Err(Ending::TooLarge);
            }
            Some(Ok(Message::Binary(bytes))) => bytes,
            // Pongs are sent by themselves; text means nothing.
            Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => return Err(Ending::Left),
            Some(Err(error)) => return Err(read_failed(error)),
        };
        match Frame::decode(bytes) {
            Ok(Frame::Request(request)) => self.start(request),
            Ok(Frame::Response(response)) => hand_in(&self.desk, &response),
            Err(error) => {
                debug!(%error, "closing a socket with 1007");
                return Err(Ending::BadFrame);
            }
        }
        Ok(())
    }

    /// Starts to work on a request. Answers go out in the order in which they are ready.
    fn start(&mut self, frame: RequestFrame) {
        let bytes = frame.body.as_ref().map_or(0, Bytes::len);
        let (id, outbox, handler) = (frame.id, self.outbox.clone(), Arc::clone(&self.handler));
        let request = self.tunnel.request(frame);
        let turns = Arc::clone(&self.turns);
        let working = async move {
            let mut turn = None;
            let answer = match request {
                Ok(request) => {
                    if asks_for_much(&request) {
                        turn = turns.acquire_owned().await.ok();
                    }
                    let head = *request.method() == Method::HEAD;
                    answer(id, handler(request).await, head).await
                }
                Err(problem) => refusal(id, problem).await,
            };
            let mut frame = Frame::Response(answer).encode();
            if let Some(turn) = turn {
                frame = Bytes::from_owner(Large { frame, _turn: turn });
            }
            // Nobody is left to read it if this fails.
            let _ = outbox.send(Message::Binary(frame)).await;
            bytes
        };
        self.bytes += bytes;
        self.running.push(working.boxed());
    }

    /// Gives the requests that have begun a moment to end, and their answers to go out, as far as somebody reads them.
    pub(super) async fn finish(
        &mut self,
        sink: &mut SplitSink<WebSocket, Message>,
        frames: &mut mpsc::Receiver<Message>,
    ) {
        let written = watch::Sender::new(());
        let all = async {
            // Whether or not anybody reads the answers, what was begun goes on.
            let writing = write(sink, frames, &written).then(|_| pending::<()>());
            tokio::select! {
                () = async { while self.running.next().await.is_some() {} } => {}
                () = writing => {}
            }
            while let Ok(frame) = frames.try_recv() {
                if sink.feed(frame).await.is_err() {
                    return;
                }
            }
            let _ = sink.flush().await;
        };
        if tokio::time::timeout(COMPLETION, all).await.is_err() {
            debug!("a socket ends before all of its requests are answered");
        }
    }

    /// Reads until the client has closed its side, so that the close frame is not overtaken by a reset, and takes the
    /// acknowledgements that were on their way.
    pub(super) async fn linger(&mut self, stream: &mut SplitStream<WebSocket>, patience: Duration) {
        let desk = &self.desk;
        let all = async {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Binary(bytes) = message
                    && let Ok(Frame::Response(response)) = Frame::decode(bytes)
                {
                    hand_in(desk, &response);
                }
            }
        };
        // Who does not close its side has had its time.
        let _ = tokio::time::timeout(patience, all).await;
    }
}

/// Hands an answer of the client to the desk.
fn hand_in(desk: &Desk, response: &ResponseFrame) {
    if let (Some(id), Some(status)) = (response.id, response.status) {
        desk.answer(id, status);
    }
}

/// Tells a message that is too large from a connection that is gone.
fn read_failed(error: axum::Error) -> Ending {
    use tungstenite::Error::{Capacity, Protocol, Utf8};
    let error = error.into_inner();
    match error.downcast_ref() {
        Some(Capacity(_)) => Ending::TooLarge,
        Some(Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) | None => {
            Ending::Left
        }
        Some(Protocol(_) | Utf8(_)) => Ending::BadFrame,
        Some(_) => Ending::Left,
    }
}
