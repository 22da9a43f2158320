//! What travels over the WebSocket. Field numbers are the protocol's.

use bytes::Bytes;
use prost::Message as _;

/// One binary message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WebSocketMessage {
    /// 1: a request; 2: a response.
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// Of kind 1.
    #[prost(message, optional, tag = "2")]
    pub request: Option<Request>,
    /// Of kind 2.
    #[prost(message, optional, tag = "3")]
    pub response: Option<Response>,
}

/// A request of either side.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Request {
    /// The method.
    #[prost(string, optional, tag = "1")]
    pub verb: Option<String>,
    /// Path and query.
    #[prost(string, optional, tag = "2")]
    pub path: Option<String>,
    /// The body.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub body: Option<Bytes>,
    /// The number under which it is answered.
    #[prost(uint64, optional, tag = "4")]
    pub id: Option<u64>,
    /// `name: value` each.
    #[prost(string, repeated, tag = "5")]
    pub headers: Vec<String>,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Response {
    /// The number of the request.
    #[prost(uint64, optional, tag = "1")]
    pub id: Option<u64>,
    /// As in HTTP.
    #[prost(uint32, optional, tag = "2")]
    pub status: Option<u32>,
    /// As in HTTP.
    #[prost(string, optional, tag = "3")]
    pub message: Option<String>,
    /// The body.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub body: Option<Bytes>,
    /// `name: value` each.
    #[prost(string, repeated, tag = "5")]
    pub headers: Vec<String>,
}

/// A message as its recipient gets it, as far as this crate looks at it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Envelope {
    /// 1 in a session, 5 a receipt.
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// The sender's own time.
    #[prost(uint64, optional, tag = "5")]
    pub client_timestamp: Option<u64>,
    /// The ciphertext.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub content: Option<Bytes>,
    /// 16 bytes.
    #[prost(bytes = "bytes", optional, tag = "19")]
    pub source_service_id: Option<Bytes>,
}

impl WebSocketMessage {
    /// A request.
    pub fn request(request: Request) -> Bytes {
        let message = Self {
            kind: Some(1),
            request: Some(request),
            response: None,
        };
        message.encode_to_vec().into()
    }

    /// A response that says nothing but a status.
    pub fn response(id: u64, status: u32) -> Bytes {
        let message = Self {
            kind: Some(2),
            request: None,
            response: Some(Response {
                id: Some(id),
                status: Some(status),
                message: Some("OK".to_owned()),
                ..Response::default()
            }),
        };
        message.encode_to_vec().into()
    }
}
