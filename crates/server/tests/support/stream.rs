//! A message stream over gRPC to a node.

use std::time::Duration;

use api::grpc::proto::messages::get_messages_request::Request as Ask;
use api::grpc::proto::messages::get_messages_response::Response as Given;
use api::grpc::proto::messages::{GetMessageOptions, GetMessagesRequest, GetMessagesResponse};
use api::ws::frame::Envelope;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::stream::unfold;
use loadgen::fleet::Account;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;

use super::cluster::ServeNode;

/// Nothing takes as long unless it never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The stream of an account's primary device.
pub(crate) struct MessageStream {
    requests: mpsc::UnboundedSender<GetMessagesRequest>,
    answers: Streaming<GetMessagesResponse>,
}

impl MessageStream {
    pub(crate) async fn open(node: &ServeNode, account: &Account) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", node.http));
        let channel = endpoint.expect("it is a URL").connect().await;
        let mut client = Grpc::new(channel.expect("the node answers"));
        client.ready().await.expect("the node answers");
        let (requests, asked) = mpsc::unbounded_channel();
        let options = GetMessageOptions::default();
        let asking = unfold(
            asked,
            async |mut asked: mpsc::UnboundedReceiver<GetMessagesRequest>| {
                Some((asked.recv().await?, asked))
            },
        );
        let mut request = Request::new(asking);
        let credentials = format!("{}:{}", account.aci, account.password);
        let credentials = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        request.metadata_mut().insert(
            "authorization",
            credentials.parse().expect("base64 fits a header"),
        );
        let path = "/org.signal.chat.messages.Messages/GetMessages";
        let codec: ProstCodec<GetMessagesRequest, GetMessagesResponse> = ProstCodec::default();
        let answers = client
            .streaming(request, path.parse().expect("it is a path"), codec)
            .await
            .expect("the stream opens");
        let stream = Self {
            requests,
            answers: answers.into_inner(),
        };
        stream.say(Ask::Options(options));
        stream
    }

    fn say(&self, ask: Ask) {
        let request = GetMessagesRequest { request: Some(ask) };
        self.requests.send(request).expect("the stream is polled");
    }

    pub(crate) async fn message(&mut self) -> Envelope {
        match self.next().await {
            Ok(Given::Envelope(envelope)) => envelope,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn queue_empty(&mut self) {
        assert_eq!(self.next().await, Ok(Given::QueueEmpty(())));
    }

    /// The code with which the server ends it, before anything else comes.
    pub(crate) async fn ended(&mut self) -> Code {
        self.next().await.expect_err("it ends")
    }

    async fn next(&mut self) -> Result<Given, Code> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        let answer = answer
            .expect("something comes")
            .map_err(|status| status.code())?;
        let answer = answer.expect("it ends with a fault or not at all");
        Ok(answer.response.expect("it holds something"))
    }

    pub(crate) fn acknowledge(&self, envelope: &Envelope) {
        let name = envelope.server_guid.clone().expect("a message has a name");
        self.say(Ask::ServerGuidAck(name));
    }

    /// Says that nothing more will be said.
    pub(crate) fn half_close(&mut self) {
        self.requests = mpsc::unbounded_channel().0;
    }
}
