//! A device's WebSocket: sends requests, tells what comes.

use std::time::Duration;

use anyhow::Context as _;
use api::ws::frame::{Envelope, Frame, RequestFrame, ResponseFrame};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;

use crate::dial::{Line, dial};
use crate::fleet::Account;
use crate::servers::Servers;

/// How long opening may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open WebSocket.
pub struct Socket {
    line: Line,
    next: u64,
}

/// What comes over it.
#[derive(Debug)]
pub enum Event {
    /// A message, and the number to answer it with.
    Message(u64, Box<Envelope>),
    /// The queue is empty.
    QueueEmpty,
    /// The answer to a request: its number, its status, and when trying again makes sense, if the server said so.
    Answer(u64, u32, Option<Duration>),
    /// A sign of life.
    Pong,
    /// The server has closed it, with this code if it said one.
    Closed(Option<u16>),
}

impl Socket {
    /// Opens the socket of a device on one of the servers.
    pub async fn open(servers: &Servers, nth: usize, account: &Account) -> anyhow::Result<Self> {
        let line = tokio::time::timeout(PATIENCE, dial(servers, servers.nth(nth), account))
            .await
            .context("opening the socket took too long")??;
        Ok(Self { line, next: 0 })
    }

    /// Sends a message; the number of the request is told. An error means that the socket is of no use any more.
    pub async fn send(
        &mut self,
        to: &Account,
        content: Vec<u8>,
        timestamp: i64,
    ) -> anyhow::Result<u64> {
        let id = self.next;
        self.next += 1;
        let request = RequestFrame {
            verb: Some("PUT".to_owned()),
            path: Some(format!("/v1/messages/{}", to.aci)),
            body: Some(to.message(content, timestamp)?),
            id: Some(id),
            headers: vec!["content-type: application/json".to_owned()],
        };
        self.write(Frame::Request(request)).await?;
        Ok(id)
    }

    /// Says that a message has arrived.
    pub async fn acknowledge(&mut self, id: u64) -> anyhow::Result<()> {
        let answer = ResponseFrame {
            id: Some(id),
            status: Some(200),
            message: Some("OK".to_owned()),
            ..ResponseFrame::default()
        };
        self.write(Frame::Response(answer)).await
    }

    async fn write(&mut self, frame: Frame) -> anyhow::Result<()> {
        let message = Message::Binary(frame.encode());
        Ok(self.line.stream.send(message).await?)
    }

    /// Shows that the device is there.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        Ok(self.line.stream.send(Message::Ping(Bytes::new())).await?)
    }

    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Event {
        loop {
            let bytes = match self.line.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(frame))) => {
                    return Event::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Pong(_))) => return Event::Pong,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Event::Closed(None),
            };
            match Frame::decode(bytes) {
                Ok(frame) => {
                    if let Some(event) = event(frame) {
                        return event;
                    }
                }
                Err(_) => return Event::Closed(None),
            }
        }
    }

    /// Leaves in good order.
    pub async fn leave(mut self) {
        let stream = &mut self.line.stream;
        let farewell = async {
            _ = stream.close(None).await;
            while let Some(Ok(_)) = stream.next().await {}
        };
        // Whoever does not answer a farewell is left without.
        _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
    }
}

/// `Retry-After`, in whole seconds.
fn retry_after(headers: &[String]) -> Option<Duration> {
    let mut headers = headers.iter().filter_map(|line| line.split_once(':'));
    let (_, seconds) = headers.find(|(name, _)| name.trim().eq_ignore_ascii_case("retry-after"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn event(frame: Frame) -> Option<Event> {
    let request = match frame {
        Frame::Request(request) => request,
        Frame::Response(response) => {
            let wait = retry_after(&response.headers);
            return Some(Event::Answer(response.id?, response.status?, wait));
        }
    };
    match request.path.as_deref()? {
        "/api/v1/message" => {
            let envelope = Envelope::decode(request.body.unwrap_or_default()).ok()?;
            Some(Event::Message(request.id?, Box::new(envelope)))
        }
        "/api/v1/queue/empty" => Some(Event::QueueEmpty),
        _ => None,
    }
}
