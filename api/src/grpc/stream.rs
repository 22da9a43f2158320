//! `GetMessages`: a device's mailbox over a stream, by the same delivery as over a WebSocket. A device has one of the
//! two at a time.
//!
//! The first request holds options; nothing happens before it. Every further one acknowledges a message by its name.
//!
//! | status | when |
//! |---|---|
//! | 0 | the client ended its side before it began |
//! | 3 | anything else than options first, or than an acknowledgement later |
//! | 8 | the account has as many sockets and streams as it may |
//! | 10 | another stream or WebSocket of the device took over; a detail says so |
//! | 14 | the mailbox cannot be read; the server stops |
//! | 16 | the device is gone, or has to prove itself anew |

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::ids::DeviceAddress;
use futures::StreamExt as _;
use futures::stream;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::codegen::BoxStream;
use tonic::{Status, Streaming};
use tracing::info;

use super::proto::messages::get_messages_request::Request;
use super::proto::messages::get_messages_response::Response;
use super::proto::messages::{GetMessageOptions, GetMessagesRequest, GetMessagesResponse};
use super::status;
use crate::limits::socket as limits;
use crate::state::Api;
use crate::ws::desk::Desk;
use crate::ws::ending::Ending;
use crate::ws::frame::Envelope;
use crate::ws::inbox::Inbox;
use crate::ws::post::{Ear, Post, deliver, part};
use crate::ws::session::DeviceSession;
use crate::ws::wire::Wire;

type Frame = Result<GetMessagesResponse, Status>;
type Outbox = mpsc::Sender<Frame>;

/// Opens the stream. It is served by a task of its own, which ends when nobody reads any more.
pub(super) fn open(
    api: &Api,
    address: DeviceAddress,
    requests: Streaming<GetMessagesRequest>,
) -> Result<BoxStream<GetMessagesResponse>, Status> {
    let place = api.sockets_by_account().take(address.aci);
    let place = place.map_err(|_| status::exhausted(Some(crate::limits::NO_PLACE)))?;
    let (outbox, frames) = mpsc::channel(limits::FRAMES);
    let (tracker, api) = (api.shutdown.tracker.clone(), api.clone());
    tracker.spawn(async move {
        serve(&api, address, requests, outbox).await;
        drop(place);
    });
    let frames = stream::unfold(frames, async |mut frames| {
        Some((frames.recv().await?, frames))
    });
    Ok(frames.boxed())
}

/// How a stream ended.
enum End {
    /// As a session ends.
    Session(Ending),
    /// With a fault of the client's.
    Fault(Status),
}

impl End {
    /// What the client is told, if anybody is left to be told.
    fn status(&self) -> Option<Status> {
        match self {
            Self::Fault(status) => Some(status.clone()),
            Self::Session(ending) => match ending {
                Ending::Left => None,
                Ending::ConnectedElsewhere => Some(status::displaced()),
                Ending::Reauthenticate => Some(status::invalid_credentials()),
                Ending::BadFrame | Ending::TooLarge => Some(status::constraint("not a request")),
                Ending::MailboxUnavailable => {
                    Some(status::unavailable("the mailbox cannot be read"))
                }
                Ending::Idle | Ending::Served | Ending::ShuttingDown => {
                    Some(status::unavailable("the server stops"))
                }
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Session(ending) => ending.name(),
            Self::Fault(_) => "bad_request",
        }
    }
}

async fn serve(
    api: &Api,
    address: DeviceAddress,
    mut requests: Streaming<GetMessagesRequest>,
    outbox: Outbox,
) {
    let opened = Instant::now();
    let first = tokio::select! {
        biased;
        () = api.shutdown.token.cancelled() => Err(End::Session(Ending::ShuttingDown)),
        () = outbox.closed() => return,
        options = options(&mut requests) => options.map_err(End::Fault),
    };
    let end = match first {
        Ok(None) => return,
        Ok(Some(options)) => session(api, address, &options, &mut requests, &outbox).await,
        Err(end) => {
            farewell(&outbox, end.status()).await;
            end
        }
    };
    info!(
        target: "stream",
        ending = end.name(),
        seconds = opened.elapsed().as_secs(),
        "closed",
    );
}

/// The first request; nothing if the client had nothing to say.
async fn options(
    requests: &mut Streaming<GetMessagesRequest>,
) -> Result<Option<GetMessageOptions>, Status> {
    let first = requests.message().await.map_err(status::of_framework)?;
    match first.map(|request| request.request) {
        None => Ok(None),
        Some(Some(Request::Options(options))) => Ok(Some(options)),
        Some(Some(Request::ServerGuidAck(_)) | None) => {
            Err(status::violated("request", "must be options at first"))
        }
    }
}

async fn session(
    api: &Api,
    address: DeviceAddress,
    options: &GetMessageOptions,
    requests: &mut Streaming<GetMessagesRequest>,
    outbox: &Outbox,
) -> End {
    let (desk, names) = (Arc::new(Desk::default()), Arc::new(Names::default()));
    let device = DeviceSession {
        connection: api.hub.connect(address, true),
        mailbox: Arc::new(Inbox {
            api: api.clone(),
            address,
        }),
        delivers: true,
        stories: !options.drop_stories,
    };
    let wire = StreamWire(Arc::clone(&names));
    let mut post = Post::new(device, wire, Arc::clone(&desk));
    let mut client = Client {
        requests,
        desk: &desk,
        names: &names,
    };
    let end = tokio::select! {
        biased;
        () = api.shutdown.token.cancelled() => End::Session(Ending::ShuttingDown),
        ending = deliver(Some(&mut post), outbox.clone()) => End::Session(ending),
        fault = client.fault() => End::Fault(fault),
        () = outbox.closed() => End::Session(Ending::Left),
    };
    let told = farewell(outbox, end.status());
    match &end {
        End::Session(ending) => {
            tokio::join!(part(*ending, Some(&mut post), client), told);
        }
        // Nothing that is said after a fault counts.
        End::Fault(_) => {
            tokio::join!(post.settle(), told);
        }
    }
    end
}

/// The client's side of a stream.
struct Client<'a> {
    requests: &'a mut Streaming<GetMessagesRequest>,
    desk: &'a Desk,
    names: &'a Names,
}

impl Client<'_> {
    /// Takes acknowledgements until one is none. A client that has ended its side goes on to receive.
    async fn fault(&mut self) -> Status {
        match self.acknowledgements().await {
            Ok(()) => pending().await,
            Err(fault) => fault,
        }
    }

    /// Takes acknowledgements until the client ends its side.
    async fn acknowledgements(&mut self) -> Result<(), Status> {
        while let Some(request) = self
            .requests
            .message()
            .await
            .map_err(status::of_framework)?
        {
            match request.request {
                Some(Request::ServerGuidAck(name)) => {
                    if let Some(id) = self.names.take(&name) {
                        self.desk.answer(id, 200);
                    }
                }
                Some(Request::Options(_)) | None => {
                    return Err(status::violated("request", "must be an acknowledgement"));
                }
            }
        }
        Ok(())
    }
}

impl Ear for Client<'_> {
    async fn listen(&mut self, patience: Duration) {
        // A fault ends it as well; nobody is left to be told of it.
        let _ = tokio::time::timeout(patience, self.acknowledgements()).await;
    }
}

/// Tells the client why the stream ends, unless it does not read.
async fn farewell(outbox: &Outbox, status: Option<Status>) {
    if let Some(status) = status {
        // An error means that the client is gone.
        let _ = tokio::time::timeout(limits::FAREWELL, outbox.send(Err(status))).await;
    }
}

/// The messages on their way, by the names by which a client acknowledges them.
#[derive(Default)]
struct Names(Mutex<HashMap<Bytes, u64>>);

impl Names {
    fn put(&self, name: Bytes, id: u64) {
        self.0
            .lock()
            .expect("nothing panics while it holds the names")
            .insert(name, id);
    }

    fn take(&self, name: &[u8]) -> Option<u64> {
        self.0
            .lock()
            .expect("nothing panics while it holds the names")
            .remove(name)
    }
}

/// Envelopes travel as they are, and are acknowledged by their names.
struct StreamWire(Arc<Names>);

impl Wire for StreamWire {
    type Frame = Frame;

    fn message(&self, id: u64, envelope: Bytes) -> Frame {
        let envelope = Envelope::decode(envelope).map_err(|error| status::failed(&error))?;
        if let Some(name) = &envelope.server_guid {
            self.0.put(name.clone(), id);
        }
        Ok(GetMessagesResponse {
            response: Some(Response::Envelope(envelope)),
        })
    }

    fn queue_empty(&self, _: u64) -> Frame {
        Ok(GetMessagesResponse {
            response: Some(Response::QueueEmpty(())),
        })
    }
}
