//! Calls over gRPC, straight into the router.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use api::grpc::DOCUMENTED;
use api::grpc::proto::messages::get_messages_request::Request as Ask;
use api::grpc::proto::messages::get_messages_response::Response as Given;
use api::grpc::proto::messages::{GetMessageOptions, GetMessagesRequest, GetMessagesResponse};
use api::ws::frame::Envelope;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::unfold;
use http_body_util::BodyExt as _;
use prost::Message;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::{Device, Door};

/// Nothing in a test takes as long as this unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls, with the credentials that it was given.
#[derive(Clone)]
pub(crate) struct Calls {
    router: Router,
    authorization: Option<String>,
    metadata: Vec<(&'static str, String)>,
}

/// Where all of them come from.
const FROM: ConnectInfo<SocketAddr> = ConnectInfo(SocketAddr::new(
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    443,
));

impl Door {
    /// Calls without credentials.
    pub(crate) fn calls(&self) -> Calls {
        Calls {
            router: self.router.clone(),
            authorization: None,
            metadata: Vec::new(),
        }
    }
}

impl Calls {
    pub(crate) fn by(self, device: &Device) -> Self {
        self.basic(&device.username(), &device.password)
    }

    pub(crate) fn basic(self, username: &str, password: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        Self {
            authorization: Some(format!("Basic {credentials}")),
            ..self
        }
    }

    /// With more metadata.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((name, value.into()));
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(FROM);
        for (name, value) in &self.metadata {
            let value: AsciiMetadataValue = value.parse().unwrap();
            request.metadata_mut().insert(*name, value);
        }
        if let Some(authorization) = &self.authorization {
            let value: AsciiMetadataValue = authorization.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// Calls a method with one message and one answer.
    pub(crate) async fn call<Q, A>(
        &self,
        method: &'static str,
        message: Q,
    ) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/org.signal.chat.{method}").parse().unwrap();
        let mut client = Grpc::new(self.router.clone());
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answer = client.unary(self.request(message), path, codec);
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        answer.inspect_err(documented)
    }

    /// The answer, without its metadata.
    #[track_caller]
    pub(crate) fn ask<Q, A>(
        &self,
        method: &'static str,
        message: Q,
    ) -> impl Future<Output = Result<A, Status>> + use<Q, A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let calls = self.clone();
        async move { calls.call(method, message).await.map(Response::into_inner) }
    }

    /// Opens a stream in both directions.
    pub(crate) async fn stream<Q, A>(
        &self,
        method: &'static str,
    ) -> Result<(mpsc::UnboundedSender<Q>, Streaming<A>), Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (sender, questions) = mpsc::unbounded_channel();
        let questions = unfold(
            questions,
            async |mut questions: mpsc::UnboundedReceiver<Q>| {
                Some((questions.recv().await?, questions))
            },
        );
        let path = format!("/org.signal.chat.{method}").parse().unwrap();
        let mut client = Grpc::new(self.router.clone());
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answers = client
            .streaming(self.request(questions), path, codec)
            .await
            .inspect_err(documented)?;
        Ok((sender, answers.into_inner()))
    }

    /// Opens the mailbox.
    pub(crate) async fn mailbox(&self, drop_stories: bool) -> Mailbox {
        let (requests, answers) = self.stream("messages.Messages/GetMessages").await.unwrap();
        let mailbox = Mailbox {
            requests: Some(requests),
            answers,
        };
        mailbox.say(Ask::Options(GetMessageOptions { drop_stories }));
        mailbox
    }

    /// Calls a method with any bytes in place of a message. Of an answer that does not end, the first message is awaited.
    pub(crate) async fn raw(&self, path: &str, message: &[u8]) -> Code {
        let mut framed = BytesMut::with_capacity(5 + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put_slice(message);
        self.unframed(path, framed.freeze()).await
    }

    /// The same without a length before them.
    pub(crate) async fn unframed(&self, path: &str, body: Bytes) -> Code {
        let mut request = http::Request::post(path)
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &self.metadata {
            request = request.header(*name, value);
        }
        let request = request.extension(FROM).body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request);
        let response = tokio::time::timeout(PATIENCE, response)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let (parts, mut body) = response.into_parts();
        let mut status = Status::from_header_map(&parts.headers);
        while status.is_none() {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            match frame.expect("something comes") {
                Some(frame) => match frame.unwrap().into_trailers() {
                    Ok(trailers) => status = Status::from_header_map(&trailers),
                    Err(_) if path.ends_with("/GetMessages") => {
                        return Code::Ok;
                    }
                    Err(_message) => {}
                },
                None => panic!("{path} ends without a status"),
            }
        }
        let status = status.unwrap();
        if status.code() != Code::Ok {
            documented(&status);
        }
        status.code()
    }
}

/// Whether a status is one that clients know, with the details that they look for.
#[track_caller]
pub(crate) fn documented(status: &Status) {
    assert!(DOCUMENTED.contains(&status.code()), "{status:?}");
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no details: {status:?}"));
    assert_eq!(info.domain, "grpc.chat.signal.org");
    let whole = tonic_types::pb::Status::decode(status.details()).unwrap();
    assert_eq!(whole.code, i32::from(status.code()));
}

/// Code and reason.
pub(crate) fn reason(status: &Status) -> (i32, String) {
    (
        status.code().into(),
        status.get_details_error_info().unwrap().reason,
    )
}

/// Reason and field of a call that broke a rule.
#[track_caller]
pub(crate) fn field<A: std::fmt::Debug>(answer: Result<A, Status>) -> String {
    let status = answer.unwrap_err();
    assert_eq!(reason(&status), (3, "CONSTRAINT_VIOLATED".to_owned()));
    let request = status.get_details_bad_request();
    let violations = request
        .map(|request| request.field_violations)
        .unwrap_or_default();
    violations
        .first()
        .map(|first| first.field.clone())
        .unwrap_or_default()
}

/// An open mailbox.
pub(crate) struct Mailbox {
    requests: Option<mpsc::UnboundedSender<GetMessagesRequest>>,
    pub(crate) answers: Streaming<GetMessagesResponse>,
}

impl Mailbox {
    pub(crate) fn say(&self, ask: Ask) {
        // An error means that the server has ended the stream, which the next answer tells better.
        let requests = self.requests.as_ref().expect("it has more to say");
        let _ = requests.send(GetMessagesRequest { request: Some(ask) });
    }

    /// Says that nothing more will be said.
    pub(crate) fn half_close(&mut self) {
        self.requests = None;
    }

    async fn next(&mut self) -> Result<Option<Given>, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        let answer = answer.expect("something comes").inspect_err(documented)?;
        Ok(answer.map(|answer| answer.response.unwrap()))
    }

    pub(crate) async fn message(&mut self) -> Envelope {
        match self.next().await.unwrap().unwrap() {
            Given::Envelope(envelope) => envelope,
            Given::QueueEmpty(()) => panic!("the queue is empty"),
        }
    }

    pub(crate) fn acknowledge(&self, envelope: &Envelope) {
        self.say(Ask::ServerGuidAck(envelope.server_guid.clone().unwrap()));
    }

    /// Takes a message and acknowledges it; its client timestamp is told.
    pub(crate) async fn accept(&mut self) -> u64 {
        let envelope = self.message().await;
        self.acknowledge(&envelope);
        envelope.client_timestamp.unwrap()
    }

    pub(crate) async fn queue_empty(&mut self) {
        assert_eq!(self.next().await.unwrap(), Some(Given::QueueEmpty(())));
    }

    /// How the server ends it, with nothing before.
    pub(crate) async fn ended_at_once(&mut self) -> Status {
        self.next().await.unwrap_err()
    }

    /// How the server ends it. What it sends before is dropped; `None` is success.
    pub(crate) async fn ended(&mut self) -> Option<Status> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }
}
