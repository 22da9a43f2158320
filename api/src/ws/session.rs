//! The life of one WebSocket: it reads, writes, works on requests and delivers messages, all at once and in one task,
//! until one of these ends it.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use events::ports::Clock;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::limits::socket as limits;
use crate::ws::desk::Desk;
use crate::ws::ending::Ending;
use crate::ws::hub::Connection;
use crate::ws::mailbox::Mailbox;
use crate::ws::post::{Ear, Post, deliver, part};
use crate::ws::reader::{Handler, Reader};
use crate::ws::requests::Tunnel;
use crate::ws::wire::SocketWire;

/// What a socket is served with.
pub(crate) struct Session<M> {
    pub(crate) tunnel: Tunnel,
    pub(crate) handler: Handler,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
    /// Silence after which it ends.
    pub(crate) idle: Duration,
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

/// The socket, and the frames that wait to be written to it.
pub(super) struct Line {
    pub(super) sink: SplitSink<WebSocket, Message>,
    pub(super) stream: SplitStream<WebSocket>,
    pub(super) frames: mpsc::Receiver<Message>,
}

impl Line {
    /// The socket's, and where frames for it go.
    pub(super) fn of(socket: WebSocket) -> (Self, mpsc::Sender<Message>) {
        let (sink, stream) = socket.split();
        let (outbox, frames) = mpsc::channel(limits::FRAMES);
        let line = Self {
            sink,
            stream,
            frames,
        };
        (line, outbox)
    }
}

impl<M: Mailbox + 'static> Session<M> {
    /// Serves the socket until it ends.
    pub(crate) async fn run(self, socket: WebSocket) {
        let opened = Instant::now();
        let (mut line, outbox) = Line::of(socket);
        let desk = Arc::new(Desk::default());
        let mut reader = Reader::new(self.tunnel, self.handler, Arc::clone(&desk), outbox.clone());
        let mut post = self
            .device
            .map(|device| Post::new(device, SocketWire(self.clock), desk));
        let written = watch::Sender::new(());
        let ending = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ending::ShuttingDown,
            ending = deliver(post.as_mut(), outbox) => ending,
            ending = reader.read(&mut line.stream, written.subscribe(), self.idle) => ending,
            ending = write(&mut line.sink, &mut line.frames, &written) => ending,
        };
        close(ending, reader, line, post.as_mut()).await;
        info!(
            target: "socket",
            ending = ending.name(),
            authenticated = post.is_some(),
            seconds = opened.elapsed().as_secs(),
            "closed",
        );
    }
}

/// Ends the socket in good order: answers to what was begun, the close frame, and everything that the device has
/// acknowledged.
pub(super) async fn close<M: Mailbox + 'static>(
    ending: Ending,
    mut reader: Reader,
    mut line: Line,
    post: Option<&mut Post<M, SocketWire>>,
) {
    reader.finish(&mut line.sink, &mut line.frames).await;
    say_farewell(&mut line.sink, ending.frame()).await;
    let client = Lingering {
        reader,
        stream: line.stream,
    };
    part(ending, post, client).await;
}

/// The client's side of a socket that is being closed.
struct Lingering {
    reader: Reader,
    stream: SplitStream<WebSocket>,
}

impl Ear for Lingering {
    async fn listen(&mut self, patience: Duration) {
        self.reader.linger(&mut self.stream, patience).await;
    }
}

/// Writes what is in the outbox. Several frames that wait go out in one write.
pub(super) async fn write(
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

/// Sends the close frame, or completes the client's.
async fn say_farewell(sink: &mut SplitSink<WebSocket, Message>, frame: Option<CloseFrame>) {
    let all = async {
        match frame {
            Some(frame) => sink.send(Message::Close(Some(frame))).await,
            None => sink.close().await,
        }
    };
    // An error means that the client is gone, which is what was wanted.
    let _ = tokio::time::timeout(limits::FAREWELL, all).await;
}

#[cfg(test)]
mod tests;
