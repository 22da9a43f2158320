//! The life of one WebSocket: it reads, writes, works on requests and delivers messages, all at once and in one task,
//! until one of these ends it.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;
use events::Position;
use events::ports::Clock;
use futures::future::{BoxFuture, Either};
use futures::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::Method;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::limits::socket as limits;
use crate::ws::delivery::Delivery;
use crate::ws::desk::Desk;
use crate::ws::ending::Ending;
use crate::ws::frame::{Frame, RequestFrame};
use crate::ws::hub::{Connection, Signals};
use crate::ws::mailbox::Mailbox;
use crate::ws::requests::{Tunnel, answer, refusal};

/// How long the requests that a socket has begun may take when it ends.
const COMPLETION: Duration = Duration::from_millis(500);

/// Answers the requests that come in over a socket.
pub(crate) type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// What a socket is served with.
pub(crate) struct Session<M> {
    pub(crate) tunnel: Tunnel,
    pub(crate) handler: Handler,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
    /// The device behind the socket, if it said who it is.
    pub(crate) device: Option<DeviceSession<M>>,
}

/// What a socket needs beside, when a device is behind it.
pub(crate) struct DeviceSession<M> {
    pub(crate) connection: Connection,
    pub(crate) mailbox: Arc<M>,
    /// Whether messages are to be delivered; there are sockets for requests only.
    pub(crate) delivers: bool,
    /// Whether stories are.
    pub(crate) stories: bool,
}

/// Requests of one socket that are being worked on, with the sizes of their bodies.
type Running = FuturesUnordered<BoxFuture<'static, usize>>;

impl<M: Mailbox + 'static> Session<M> {
    /// Serves the socket until it ends.
    pub(crate) async fn run(self, socket: WebSocket) {
        let Self {
            tunnel,
            handler,
            clock,
            shutdown,
            device,
        } = self;
        let opened = Instant::now();
        let desk = Arc::new(Desk::default());
        let (mut sink, mut stream) = socket.split();
        let (outbox, mut frames) = mpsc::channel(limits::FRAMES);
        let written = watch::Sender::new(());
        let mut reader = Reader {
            tunnel,
            handler,
            desk: Arc::clone(&desk),
            outbox: outbox.clone(),
            running: Running::new(),
            bytes: 0,
        };
        let mut post = device.map(|device| Post::new(device, clock, desk));

        let ending = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ending::ShuttingDown,
            ending = deliver(post.as_mut(), outbox) => ending,
            ending = reader.read(&mut stream, written.subscribe()) => ending,
            ending = write(&mut sink, &mut frames, &written) => ending,
        };

        if ending != Ending::Left {
            reader.finish(&mut sink, &mut frames).await;
        }
        let (reader_desk, farewell) = (Arc::clone(&reader.desk), ending.frame());
        drop(reader);
        say_farewell(&mut sink, farewell).await;
        if let Some(post) = post.as_mut() {
            post.settle().await;
        }
        if ending != Ending::Left && ending != Ending::Idle {
            linger(&mut stream, &reader_desk).await;
            if let Some(post) = post.as_mut() {
                post.settle().await;
            }
        }
        info!(target: "socket", ending = ending.name(), authenticated = post.is_some(), seconds = opened.elapsed().as_secs(), "closed");
    }
}

/// A device's side of a session: its place in the hub and the delivery of its messages.
struct Post<M> {
    connection: Connection,
    delivery: Delivery<M>,
    delivers: bool,
}

impl<M: Mailbox + 'static> Post<M> {
    fn new(device: DeviceSession<M>, clock: Arc<dyn Clock>, desk: Arc<Desk>) -> Self {
        let DeviceSession {
            connection,
            mailbox,
            delivers,
            stories,
        } = device;
        Self {
            connection,
            delivery: Delivery::new(mailbox, clock, desk, stories),
            delivers,
        }
    }

    async fn settle(&mut self) {
        self.delivery.settle().await;
        self.connection.settle();
    }
}

/// Runs the delivery, and ends it the moment the device is displaced or has to prove itself anew.
async fn deliver<M: Mailbox + 'static>(
    post: Option<&mut Post<M>>,
    outbox: mpsc::Sender<Message>,
) -> Ending {
    let Some(Post {
        connection,
        delivery,
        delivers,
    }) = post
    else {
        drop(outbox);
        return pending().await;
    };
    let established = OnceLock::new();
    let signals = connection.signals.clone();
    let working = match delivers {
        true => Either::Left(delivery.run(connection, &established, outbox)),
        false => Either::Right(delivery.watch_over(connection, &established)),
    };
    tokio::select! {
        biased;
        ending = call_off(signals, &established) => ending,
        ending = working => ending,
    }
}

/// Ends with the reason why the socket may not go on.
async fn call_off(
    mut signals: watch::Receiver<Signals>,
    established: &OnceLock<Position>,
) -> Ending {
    let ending = |signals: &Signals| {
        // What had happened when the session began, it has looked into itself.
        let revoked = signals
            .revoked
            .zip(established.get())
            .is_some_and(|(revoked, established)| revoked > *established);
        match (signals.displaced, revoked) {
            (_, true) => Some(Ending::Reauthenticate),
            (true, false) => Some(Ending::ConnectedElsewhere),
            (false, false) => None,
        }
    };
    loop {
        if let Some(ending) = ending(&signals.borrow_and_update()) {
            return ending;
        }
        if signals.changed().await.is_err() {
            return pending().await;
        }
    }
}

/// Writes what is in the outbox. Several frames that wait go out in one write.
async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    frames: &mut mpsc::Receiver<Message>,
    written: &watch::Sender<()>,
) -> Ending {
    while let Some(frame) = frames.recv().await {
        if sink.feed(frame).await.is_err() {
            return Ending::Left;
        }
        if frames.is_empty() && sink.flush().await.is_err() {
            return Ending::Left;
        }
        written.send_replace(());
    }
    pending().await
}

/// Reads frames and works on the requests among them.
struct Reader {
    tunnel: Tunnel,
    handler: Handler,
    desk: Arc<Desk>,
    outbox: mpsc::Sender<Message>,
    running: Running,
    /// Of the bodies of `running`.
    bytes: usize,
}

impl Reader {
    /// Reads until the client leaves, is silent for too long, or sends what it must not. Whatever was `written` counts
    /// as a sign of life, too: the client reads.
    async fn read(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        mut written: watch::Receiver<()>,
    ) -> Ending {
        let mut silence = Box::pin(tokio::time::sleep(limits::IDLE));
        loop {
            let may_read = self.running.is_empty()
                || (self.running.len() < limits::REQUESTS && self.bytes < limits::REQUEST_BYTES);
            tokio::select! {
                Some(bytes) = self.running.next(), if !self.running.is_empty() => self.bytes -= bytes,
                message = stream.next(), if may_read => {
                    if let Err(ending) = self.take(message) {
                        return ending;
                    }
                    silence.as_mut().reset(tokio::time::Instant::now() + limits::IDLE);
                }
                Ok(()) = written.changed() => silence.as_mut().reset(tokio::time::Instant::now() + limits::IDLE),
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
            Ok(Frame::Response(response)) => {
                if let (Some(id), Some(status)) = (response.id, response.status) {
                    self.desk.answer(id, status);
                }
            }
            Err(error) => {
                debug!(%error, "closing a socket with 1007");
                return Err(Ending::BadFrame);
            }
        }
        Ok(())
    }

    /// Starts to work on a request. Answers go out in the order in which they are ready.
    fn start(&mut self, frame: RequestFrame) {
        let bytes = frame.body.as_ref().map_or(0, bytes::Bytes::len);
        let (id, outbox, handler) = (frame.id, self.outbox.clone(), Arc::clone(&self.handler));
        let request = self.tunnel.request(frame);
        let working = async move {
            let answer = match request {
                Ok(request) => {
                    let head = *request.method() == Method::HEAD;
                    answer(id, handler(request).await, head).await
                }
                Err(problem) => refusal(id, problem).await,
            };
            // Nobody is left to read it if this fails.
            let _ = outbox
                .send(Message::Binary(Frame::Response(answer).encode()))
                .await;
            bytes
        };
        self.bytes += bytes;
        self.running.push(working.boxed());
    }

    /// Gives the requests that have begun a moment to end, and their answers to go out.
    async fn finish(
        &mut self,
        sink: &mut SplitSink<WebSocket, Message>,
        frames: &mut mpsc::Receiver<Message>,
    ) {
        let all = async {
            let written = watch::Sender::new(());
            let finished = async { while self.running.next().await.is_some() {} };
            tokio::select! {
                () = finished => {}
                _ = write(sink, frames, &written) => return,
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

/// Sends the close frame, or completes the client's.
async fn say_farewell(
    sink: &mut SplitSink<WebSocket, Message>,
    frame: Option<axum::extract::ws::CloseFrame>,
) {
    let all = async {
        match frame {
            Some(frame) => sink.send(Message::Close(Some(frame))).await,
            None => sink.close().await,
        }
    };
    // An error means that the client is gone, which is what was wanted.
    let _ = tokio::time::timeout(limits::FAREWELL, all).await;
}

/// Reads until the client has closed its side, so that the close frame is not overtaken by a reset, and takes the
/// acknowledgements that were on their way.
async fn linger(stream: &mut SplitStream<WebSocket>, desk: &Desk) {
    let all = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && let Ok(Frame::Response(response)) = Frame::decode(bytes)
                && let (Some(id), Some(status)) = (response.id, response.status)
            {
                desk.answer(id, status);
            }
        }
    };
    let _ = tokio::time::timeout(limits::FAREWELL, all).await;
}
