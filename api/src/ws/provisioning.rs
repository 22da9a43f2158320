//! `GET /v1/websocket/provisioning/`: a new device waits for what the primary device of an account sends to its address.
//!
//! The address is told at once, and dies with the socket. After the one message has been answered the socket is closed.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use bytes::Bytes;
use events::meeting::{MeetingsUnavailable, Place};
use http::HeaderMap;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{error, info};

use crate::admission::{Origin, Place as Seat};
use crate::http::extract::{ClientAddress, SocketPeer};
use crate::http::idempotency;
use crate::http::problem::{Problem, chain};
use crate::http::wire::to_url_safe_padded;
use crate::limits::provisioning as times;
use crate::state::Api;
use crate::ws::desk::{Desk, Sent};
use crate::ws::ending::Ending;
use crate::ws::frame::ProvisioningAddress;
use crate::ws::inbox::Inbox;
use crate::ws::reader::{Handler, Reader};
use crate::ws::requests::Tunnel;
use crate::ws::session::{Line, close, write};
use crate::ws::upgrade::{From, Inner, bounded, dispatch, no_place};
use crate::ws::wire::SocketWire;

/// The numbers of the server's two requests.
const ADDRESS_ID: u64 = 1;
const MESSAGE_ID: u64 = 2;

/// The place where a provisioning message is brought to.
pub(crate) fn place(address: &str) -> Place {
    Place::new("provisioning", address)
}

/// Opens a provisioning socket. Nobody has to say who they are.
pub(crate) async fn handler(
    State(api): State<Api>,
    Extension(inner): Extension<Inner>,
    From(from): From,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = bounded(upgrade)?;
    let seat: Seat<Origin> = api
        .sockets_by_origin()
        .take(from.into())
        .map_err(no_place)?;
    let tracker = api.shutdown.tracker.clone();
    let tunnel = Tunnel::new(
        SocketPeer::Newcomer,
        idempotency::opener(&api, &headers, None),
        address.map(|Extension(address)| address),
        &headers,
    );
    Ok(upgrade.on_upgrade(move |socket| {
        let session = async move {
            let address = to_url_safe_padded(&api.entropy.bytes::<16>());
            let handler = dispatch(&inner);
            let session = Session {
                api,
                tunnel,
                handler,
                address,
            };
            session.run(socket).await;
            drop(seat);
        };
        tracker.track_future(session)
    }))
}

struct Session {
    api: Api,
    tunnel: Tunnel,
    handler: Handler,
    address: String,
}

impl Session {
    async fn run(self, socket: WebSocket) {
        let opened = Instant::now();
        let (mut line, outbox) = Line::of(socket);
        let desk = Arc::new(Desk::default());
        let mut reader = Reader::new(self.tunnel, self.handler, Arc::clone(&desk), outbox.clone());
        let written = watch::Sender::new(());
        let ending = tokio::select! {
            biased;
            () = self.api.shutdown.token.cancelled() => Ending::ShuttingDown,
            () = sleep(times::LIFETIME) => Ending::Idle,
            ending = converse(&self.api, &self.address, &desk, outbox) => ending,
            ending = reader.read(&mut line.stream, written.subscribe(), times::IDLE) => ending,
            ending = write(&mut line.sink, &mut line.frames, &written) => ending,
        };
        if let Err(unavailable) = self.api.meetings.close(place(&self.address)).await {
            error!(cause = %chain(&unavailable), "a provisioning address stays open until its time is over");
        }
        close::<Inbox>(ending, reader, line, None).await;
        info!(
            target: "socket",
            ending = ending.name(),
            provisioning = true,
            seconds = opened.elapsed().as_secs(),
            "closed",
        );
    }
}

/// Tells the address, passes the message on, and ends with the client's answer to it.
async fn converse(api: &Api, address: &str, desk: &Desk, outbox: mpsc::Sender<Message>) -> Ending {
    match exchange(api, address, desk, &outbox).await {
        Ok(Some(())) => Ending::Served,
        Ok(None) => Ending::Left,
        Err(unavailable) => {
            error!(cause = %chain(&unavailable), "closing a provisioning socket with 1011");
            Ending::MailboxUnavailable
        }
    }
}

/// `None` if the client is gone.
async fn exchange(
    api: &Api,
    address: &str,
    desk: &Desk,
    outbox: &mpsc::Sender<Message>,
) -> Result<Option<()>, MeetingsUnavailable> {
    let wire = SocketWire(Arc::clone(&api.clock));
    let place = place(address);
    api.meetings.open(place, times::LIFETIME).await?;
    let told = ProvisioningAddress {
        address: Some(address.to_owned()),
    };
    let told = Bytes::from(told.encode_to_vec());
    if outbox
        .send(wire.push(ADDRESS_ID, "/v1/address", Some(told)))
        .await
        .is_err()
    {
        return Ok(None);
    }
    let message = api.meetings.find(place).await?;
    desk.send(
        MESSAGE_ID,
        Sent {
            message: None,
            bytes: message.len(),
            backlog: false,
        },
    );
    if outbox
        .send(wire.push(MESSAGE_ID, "/v1/message", Some(message)))
        .await
        .is_err()
    {
        return Ok(None);
    }
    while !desk.room().empty {
        desk.answered.notified().await;
    }
    Ok(Some(()))
}
