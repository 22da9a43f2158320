//! `GET /v1/websocket/` (HTTP/1.1) and `CONNECT` with `:protocol websocket` (HTTP/2): from a request to a session.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::response::Response;
use events::ids::DeviceAddress;
use futures::FutureExt as _;
use http::HeaderMap;
use http::StatusCode;
use tower::ServiceExt as _;

use crate::http::extract::SocketPeer;
use crate::http::extract::device::opener;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::limits::socket as limits;
use crate::state::Api;
use crate::ws::inbox::Inbox;
use crate::ws::reader::Handler;
use crate::ws::requests::Tunnel;
use crate::ws::session::{DeviceSession, Session};

/// The router for the requests that come over a WebSocket.
#[derive(Clone)]
pub(crate) struct Inner(pub(crate) Router);

/// Opens a WebSocket, or refuses to: 403 for credentials that are wrong or malformed (401 would not tell a client that it
/// is locked out), 500 if they cannot be checked.
pub(crate) async fn handler(
    State(api): State<Api>,
    Extension(inner): Extension<Inner>,
    asked: Asked,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| not_an_upgrade(&rejection))?;
    let device = opener(&api, &headers).await?;
    if device.is_some() {
        asked.is_by("device");
    }
    let tunnel = Tunnel::new(
        device.map_or(SocketPeer::anonymous(), SocketPeer::device),
        &headers,
    );
    let upgrade = upgrade
        .max_message_size(limits::MESSAGE_HARD)
        .max_frame_size(limits::MESSAGE_HARD)
        .read_buffer_size(limits::READ_BUFFER)
        .write_buffer_size(limits::READ_BUFFER);
    let tracker = api.shutdown.tracker.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        // The place in the hub is taken only now: a socket that does not open displaces nobody.
        let session = async move {
            let device = device.map(|address| device_session(&api, address, &headers));
            let handler = dispatch(&inner);
            let (clock, shutdown) = (Arc::clone(&api.clock), api.shutdown.token.clone());
            drop(headers);
            Session {
                tunnel,
                handler,
                clock,
                shutdown,
                device,
            }
            .run(socket)
            .await;
        };
        tracker.track_future(session)
    }))
}

fn not_an_upgrade(rejection: &WebSocketUpgradeRejection) -> Problem {
    let status = match rejection {
        WebSocketUpgradeRejection::MethodNotGet(_)
        | WebSocketUpgradeRejection::MethodNotConnect(_) => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::BAD_REQUEST,
    };
    Problem::saying(status, rejection.body_text())
}

fn device_session(api: &Api, address: DeviceAddress, headers: &HeaderMap) -> DeviceSession<Inbox> {
    let is_true = |name: &str| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
    };
    let delivers = !is_true("x-signal-disable-messages");
    DeviceSession {
        connection: api.hub.connect(address, delivers),
        mailbox: Arc::new(Inbox {
            api: api.clone(),
            address,
        }),
        delivers,
        stories: is_true("x-signal-receive-stories"),
    }
}

/// Sends the requests of a socket through the router, as if they had come by themselves.
fn dispatch(inner: &Inner) -> Handler {
    let router = inner.0.clone();
    Arc::new(move |request| {
        let answering = router.clone().oneshot(request);
        async { answering.await.unwrap_or_else(|never| match never {}) }.boxed()
    })
}
