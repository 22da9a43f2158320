//! `GET /v1/websocket/` (HTTP/1.1) and `CONNECT` with `:protocol websocket` (HTTP/2): from a request to a session.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Extension, FromRequestParts, State};
use axum::response::Response;
use events::ids::DeviceAddress;
use events::{Aci, DeviceId};
use futures::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower::ServiceExt as _;

use crate::admission::{Full, Origin, Place};
use crate::http::extract::device::opener;
use crate::http::extract::{ClientAddress, SocketPeer};
use crate::http::idempotency;
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::limits::{NO_PLACE, socket as limits};
use crate::state::Api;
use crate::ws::inbox::Inbox;
use crate::ws::reader::Handler;
use crate::ws::requests::Tunnel;
use crate::ws::session::{DeviceSession, Session};

/// The router for the requests that come over a WebSocket.
#[derive(Clone)]
pub(crate) struct Inner(pub(crate) Router);

/// What the client's application should tell its user, in the answer to an upgrade.
const ALERT: HeaderName = HeaderName::from_static("x-signal-alert");

/// Of a linked device whose primary has not been seen for long.
const IDLE_PRIMARY: HeaderValue = HeaderValue::from_static("idle-primary-device");

/// The places that an open WebSocket takes.
struct Places {
    _by_origin: Place<Origin>,
    _by_account: Option<Place<Aci>>,
}

/// Where a socket comes from. In-process clients come from nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(from.map_or(
            Ipv4Addr::UNSPECIFIED.into(),
            |ConnectInfo(from)| from.ip(),
        )))
    }
}

/// Opens a WebSocket, or refuses to: 403 for credentials that are wrong or malformed (401 would not tell a client that it
/// is locked out), 429 or 503 with `Retry-After` if there are too many of them, 500 if it cannot be told.
pub(crate) async fn handler(
    State(api): State<Api>,
    Extension(inner): Extension<Inner>,
    From(from): From,
    address: Option<Extension<ClientAddress>>,
    asked: Asked,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = bounded(upgrade)?;
    let by_origin = api
        .sockets_by_origin()
        .take(from.into())
        .map_err(no_place)?;
    let device = opener(&api, &headers).await?;
    let by_account = match device {
        None => None,
        Some(address) => {
            asked.is_by("device");
            Some(
                api.sockets_by_account()
                    .take(address.aci)
                    .map_err(no_place)?,
            )
        }
    };
    let places = Places {
        _by_origin: by_origin,
        _by_account: by_account,
    };
    let primary_is_idle = match device {
        Some(address) => primary_is_idle(&api, address).await?,
        None => false,
    };
    let tunnel = Tunnel::new(
        device.map_or(SocketPeer::Anonymous, SocketPeer::Device),
        idempotency::opener(&api, &headers, device),
        address.map(|Extension(address)| address),
        &headers,
    );
    let tracker = api.shutdown.tracker.clone();
    let mut answer = upgrade.on_upgrade(move |socket| {
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
                idle: limits::IDLE,
                device,
            }
            .run(socket)
            .await;
            drop(places);
        };
        tracker.track_future(session)
    });
    if primary_is_idle {
        answer.headers_mut().insert(ALERT, IDLE_PRIMARY);
    }
    Ok(answer)
}

pub(super) fn no_place(full: Full) -> Problem {
    metrics::counter!("sockets_turned_away_total").increment(1);
    let status = match full {
        Full::ForAll => StatusCode::SERVICE_UNAVAILABLE,
        Full::ForThis => StatusCode::TOO_MANY_REQUESTS,
    };
    Problem::empty(status).retry_after(NO_PLACE)
}

/// Whether this is a linked device whose primary has not been seen for long.
async fn primary_is_idle(api: &Api, address: DeviceAddress) -> Result<bool, Problem> {
    if address.device.is_primary() {
        return Ok(false);
    }
    let primary = api
        .queries
        .devices()
        .one(address.aci, DeviceId::PRIMARY)
        .await
        .map_err(|_| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))?;
    Ok(primary
        .is_some_and(|primary| api.clock.now().since(primary.last_seen) >= api.config.idle_primary))
}

/// The upgrade, if it is one, to a socket that holds only so much.
pub(super) fn bounded(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    let upgrade = upgrade.map_err(|rejection| not_an_upgrade(&rejection))?;
    Ok(upgrade
        .max_message_size(limits::MESSAGE_HARD)
        .max_frame_size(limits::MESSAGE_HARD)
        .read_buffer_size(limits::READ_BUFFER)
        .write_buffer_size(limits::READ_BUFFER))
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
pub(super) fn dispatch(inner: &Inner) -> Handler {
    let router = inner.0.clone();
    Arc::new(move |request| {
        let answering = router.clone().oneshot(request);
        async { answering.await.unwrap_or_else(|never| match never {}) }.boxed()
    })
}
