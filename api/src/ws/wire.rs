//! How what a device is sent travels to it: each kind of session has frames of its own.

use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use events::ports::Clock;

use crate::ws::frame::{Frame, RequestFrame};

/// Makes the frames of a session.
pub(crate) trait Wire: Send + Sync + 'static {
    /// What is written to the client.
    type Frame: Send + 'static;

    /// A message, and its number in this session.
    fn message(&self, id: u64, envelope: Bytes) -> Self::Frame;

    /// The notice that the device is done with all that waited for it. Has a number like a message.
    fn queue_empty(&self, id: u64) -> Self::Frame;
}

/// A WebSocket: what the device is sent are requests of the server.
pub(crate) struct SocketWire(pub(crate) Arc<dyn Clock>);

impl SocketWire {
    pub(super) fn push(&self, id: u64, path: &str, body: Option<Bytes>) -> Message {
        let frame = RequestFrame {
            verb: Some("PUT".to_owned()),
            path: Some(path.to_owned()),
            body,
            id: Some(id),
            headers: vec![format!("X-Signal-Timestamp: {}", self.0.now())],
        };
        Message::Binary(Frame::Request(frame).encode())
    }
}

impl Wire for SocketWire {
    type Frame = Message;

    fn message(&self, id: u64, envelope: Bytes) -> Message {
        self.push(id, "/api/v1/message", Some(envelope))
    }

    fn queue_empty(&self, id: u64) -> Message {
        self.push(id, "/api/v1/queue/empty", None)
    }
}
