//! What travels in the binary messages of a WebSocket: requests and responses in both directions, and envelopes.
//!
//! The structs are declared by hand so that a build needs no `protoc`; field numbers are the protocol's.

use bytes::Bytes;
use prost::Message as _;

/// One binary message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WebSocketMessage {
    /// Which of the two it is.
    #[prost(enumeration = "FrameKind", optional, tag = "1")]
    pub kind: Option<i32>,
    /// With kind [`FrameKind::Request`].
    #[prost(message, optional, tag = "2")]
    pub request: Option<RequestFrame>,
    /// With kind [`FrameKind::Response`].
    #[prost(message, optional, tag = "3")]
    pub response: Option<ResponseFrame>,
}

/// What a [`WebSocketMessage`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum FrameKind {
    /// Nothing that either side knows.
    Unknown = 0,
    /// A request.
    Request = 1,
    /// The answer to a request.
    Response = 2,
}

/// A request of either side.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RequestFrame {
    /// The HTTP method.
    #[prost(string, optional, tag = "1")]
    pub verb: Option<String>,
    /// Path and query.
    #[prost(string, optional, tag = "2")]
    pub path: Option<String>,
    /// The body, if there is one.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub body: Option<Bytes>,
    /// The sender's number for it. 0 is a number like any other.
    #[prost(uint64, optional, tag = "4")]
    pub id: Option<u64>,
    /// `name: value` each.
    #[prost(string, repeated, tag = "5")]
    pub headers: Vec<String>,
}

/// The answer to a [`RequestFrame`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResponseFrame {
    /// The number of the request.
    #[prost(uint64, optional, tag = "1")]
    pub id: Option<u64>,
    /// The HTTP status.
    #[prost(uint32, optional, tag = "2")]
    pub status: Option<u32>,
    /// The reason phrase.
    #[prost(string, optional, tag = "3")]
    pub message: Option<String>,
    /// The body. Clients tell an empty one from none.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub body: Option<Bytes>,
    /// `name: value` each.
    #[prost(string, repeated, tag = "5")]
    pub headers: Vec<String>,
}

/// A [`WebSocketMessage`] that is consistent in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A request.
    Request(RequestFrame),
    /// An answer.
    Response(ResponseFrame),
}

/// A binary message that holds neither a request nor a response. The socket is closed with 1007.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Not protobuf, or not of these fields.
    #[error("the message does not parse: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// A request without a request, a response with one, or of no known kind.
    #[error("the message is neither one request nor one response")]
    Inconsistent,
}

impl Frame {
    /// Reads a binary message.
    pub fn decode(bytes: Bytes) -> Result<Self, BadFrame> {
        let message = WebSocketMessage::decode(bytes)?;
        match (message.kind(), message.request, message.response) {
            (FrameKind::Request, Some(request), None) => Ok(Self::Request(request)),
            (FrameKind::Response, None, Some(response)) => Ok(Self::Response(response)),
            _ => Err(BadFrame::Inconsistent),
        }
    }

    /// Writes a binary message.
    pub fn encode(self) -> Bytes {
        let message = match self {
            Self::Request(request) => WebSocketMessage {
                kind: Some(FrameKind::Request.into()),
                request: Some(request),
                response: None,
            },
            Self::Response(response) => WebSocketMessage {
                kind: Some(FrameKind::Response.into()),
                request: None,
                response: Some(response),
            },
        };
        message.encode_to_vec().into()
    }
}

/// A message as a device receives it. Identifiers are in their binary forms ([`events::ServiceId::to_binary`]).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Envelope {
    /// [`events::mailbox::EnvelopeKind::number`].
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// The sender's time, in milliseconds.
    #[prost(uint64, optional, tag = "5")]
    pub client_timestamp: Option<u64>,
    /// Absent when sealed.
    #[prost(uint32, optional, tag = "7")]
    pub source_device: Option<u32>,
    /// Absent on delivery receipts.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub content: Option<Bytes>,
    /// The server's time, in milliseconds.
    #[prost(uint64, optional, tag = "10")]
    pub server_timestamp: Option<u64>,
    /// Whether the device should be woken; absent means yes.
    #[prost(bool, optional, tag = "14")]
    pub urgent: Option<bool>,
    /// Only ever `true`.
    #[prost(bool, optional, tag = "16")]
    pub story: Option<bool>,
    /// What the recipient may show when it reports the message as spam.
    #[prost(bytes = "bytes", optional, tag = "17")]
    pub report_spam_token: Option<Bytes>,
    /// Absent when sealed.
    #[prost(bytes = "bytes", optional, tag = "19")]
    pub source_service_id: Option<Bytes>,
    /// The identity that the message was addressed to.
    #[prost(bytes = "bytes", optional, tag = "20")]
    pub destination_service_id: Option<Bytes>,
    /// The server's name for the message: 16 bytes.
    #[prost(bytes = "bytes", optional, tag = "21")]
    pub server_guid: Option<Bytes>,
    /// The number's new pseudonym: 16 bytes.
    #[prost(bytes = "bytes", optional, tag = "22")]
    pub updated_pni: Option<Bytes>,
}

/// What tells a new device its address.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProvisioningAddress {
    /// 16 random bytes in padded URL-safe base64.
    #[prost(string, optional, tag = "1")]
    pub address: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes as the official client 0.103.0 lays them out: id 0 is written, absent fields are not.
    #[test]
    fn id_0_is_written() {
        let frame = Frame::Response(ResponseFrame {
            id: Some(0),
            status: Some(200),
            message: Some("OK".into()),
            body: None,
            headers: vec!["a: b".into()],
        });
        let expected = b"\x08\x02\x1a\x0f\x08\x00\x10\xc8\x01\x1a\x02OK\x2a\x04a: b";
        assert_eq!(frame.encode(), expected.as_slice());
    }

    #[test]
    fn a_message_that_is_neither_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"\x08\x01",
            b"\x08\x02\x12\x00",
            b"\x08\x07\x12\x00",
            b"\x12\x00",
        ] {
            let frame = Frame::decode(Bytes::from_static(bytes));
            assert_eq!(frame, Err(BadFrame::Inconsistent), "{bytes:?}");
        }
        assert!(matches!(
            Frame::decode(Bytes::from_static(b"\xff")),
            Err(BadFrame::Undecodable(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frame) = Frame::decode(bytes.into()) {
                prop_assert_eq!(Frame::decode(frame.clone().encode()), Ok(frame));
            }
        }

        #[test]
        fn frames_read_back(
            verb in proptest::option::of("[A-Z]{0,8}"),
            path in proptest::option::of("\\PC{0,20}"),
            body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
            id in proptest::option::of(any::<u64>()),
            headers in proptest::collection::vec("\\PC{0,20}", 0..4),
        ) {
            let request = RequestFrame { verb, path, body: body.map(Bytes::from), id, headers };
            let frame = Frame::Request(request);
            prop_assert_eq!(Frame::decode(frame.clone().encode()), Ok(frame));
        }
    }
}
