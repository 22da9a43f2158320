//! What every request goes through, on whichever way it came: its identity, its clock, its line in the log, and the
//! nets below the endpoints.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use commands::RequestContext;
use commands::executor::own::OwnEvents;
use events::ports::Entropy;
use events::{Actor, RequestId, Timestamp};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tracing::{error, info};
use uuid::Uuid;

use crate::http::extract::{ClientAddress, SocketPeer};
use crate::http::long_poll::LONG_POLLS;
use crate::http::problem::Problem;
use crate::limits;
use crate::state::{Api, EventPosition};

/// The server's clock, on every answer: milliseconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-signal-timestamp");
/// In a request: a UUID that chains requests together, kept in the metadata of their events. In an answer: the id that
/// the server gave this request, under which its events and log lines are found.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request as its commands will know it.
#[derive(Clone)]
pub(crate) struct Asked {
    context: RequestContext,
    actor_kind: Arc<OnceLock<&'static str>>,
}

impl Asked {
    /// A request that comes in now.
    pub(crate) fn of(api: &Api, headers: &HeaderMap) -> Self {
        let mut context = api.executor.request_by(Actor::Anonymous);
        context.correlation = correlation(headers);
        Self {
            context,
            actor_kind: Arc::default(),
        }
    }

    /// The request's name, as the answer's header tells it.
    pub(crate) fn id(&self) -> HeaderValue {
        HeaderValue::from_str(&self.context.request.to_string()).expect("a UUID is plain ASCII")
    }

    /// See [`Self::is_by`].
    pub(crate) fn actor_kind(&self) -> &'static str {
        self.actor_kind.get().copied().unwrap_or("anonymous")
    }

    /// The context for commands on this authority. Also decides what the request line says of the caller.
    pub(crate) fn by(&self, actor: Actor) -> RequestContext {
        self.is_by(match &actor {
            Actor::Device(..) => "device",
            Actor::Anonymous => "anonymous",
            Actor::Operator(_) => "operator",
            Actor::System(_) => "system",
        });
        RequestContext {
            actor,
            ..self.context.clone()
        }
    }

    /// When it came.
    pub(crate) const fn at(&self) -> Timestamp {
        self.context.at
    }

    /// The same request under another id and time: those of the first time it came.
    pub(crate) fn again(&self, request: RequestId, at: Timestamp, own: Arc<OwnEvents>) -> Self {
        Self {
            context: RequestContext {
                request,
                at,
                again: Some(own),
                ..self.context.clone()
            },
            actor_kind: Arc::clone(&self.actor_kind),
        }
    }

    /// What the request line says of the caller.
    pub(crate) fn is_by(&self, kind: &'static str) {
        // The first to know is the one who checked credentials.
        let _ = self.actor_kind.set(kind);
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let asked = parts.extensions.get::<Self>();
        Ok(asked
            .expect("the router's outermost layer put it there")
            .clone())
    }
}

/// Gives the request its identity, stamps the answer, writes the request line.
pub(crate) async fn observe(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let asked = Asked::of(&api, request.headers());
    let line = Line::about(&request);
    request.extensions_mut().insert(asked.clone());
    if let Some(address) = ClientAddress::of(&request, &api.config.trusted_proxies) {
        request.extensions_mut().insert(address);
    }

    let mut response = next.run(request).await;
    // One that has come before goes by its first name.
    let asked = response.extensions_mut().remove::<Asked>().unwrap_or(asked);

    let headers = response.headers_mut();
    headers.insert(TIMESTAMP, api.clock.now().epoch_millis().into());
    headers.insert(REQUEST_ID, asked.id());
    line.write(&asked, &response, started);
    response
}

fn correlation(headers: &HeaderMap) -> Option<Uuid> {
    headers
        .get(REQUEST_ID)?
        .to_str()
        .ok()
        .and_then(|text| Uuid::try_parse(text).ok())
}

/// What the request line tells that the answer does not know any more. Never a path: it may hold ids.
struct Line {
    method: http::Method,
    route: Option<MatchedPath>,
    transport: &'static str,
}

impl Line {
    fn about(request: &Request) -> Self {
        let in_socket = request.extensions().get::<SocketPeer>().is_some();
        Self {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            transport: if in_socket { "websocket" } else { "http" },
        }
    }

    fn write(&self, asked: &Asked, response: &Response, started: Instant) {
        let elapsed = started.elapsed();
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status().as_u16();
        let position = response
            .headers()
            .get(EventPosition::HEADER)
            .and_then(|value| value.to_str().ok());
        info!(
            target: "request",
            request = %asked.context.request,
            method = %self.method,
            route,
            status,
            actor = asked.actor_kind(),
            transport = self.transport,
            position,
            elapsed_ms = elapsed.as_secs_f64() * 1000.0,
        );
        let labels = [
            ("method", method_label(&self.method).to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
            ("transport", self.transport.to_owned()),
        ];
        metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
    }
}

/// Clients may invent methods; metrics must not grow by that.
fn method_label(method: &http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE" | "CONNECT" | "OPTIONS") => {
            known
        }
        _ => "other",
    }
}

/// Answers 500 where an endpoint panics, and 503 where it takes too long.
pub(crate) async fn guard(
    State(entropy): State<Arc<dyn Entropy>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let waits = route.is_some_and(|route| LONG_POLLS.contains(&route.as_str()));
    let patience = if waits {
        limits::LONG_POLL_PATIENCE
    } else {
        limits::REQUEST_PATIENCE
    };
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(patience, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            // The panic hook has told what and where.
            let id = u64::from_le_bytes(entropy.bytes());
            error!(id = %format_args!("{id:016x}"), "answering 500: an endpoint panicked");
            Problem::internal(id).into_response()
        }
        Err(_) => {
            error!("answering 503: an endpoint took longer than {patience:?}");
            Problem::of(StatusCode::SERVICE_UNAVAILABLE).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use testkit::environment::SeededEntropy;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_answered_with_the_id_under_which_it_is_logged() {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::default());
        let panicking = async || -> StatusCode { panic!("in a handler, for this test") };
        let router = axum::Router::new()
            .fallback(panicking)
            .layer(from_fn_with_state(entropy, guard));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let message = body["message"].as_str().unwrap();
        let id = message
            .strip_prefix("There was an error processing your request. It has been logged (ID ")
            .and_then(|rest| rest.strip_suffix(")."))
            .unwrap();
        assert!(
            id.len() == 16 && u64::from_str_radix(id, 16).is_ok(),
            "{id}"
        );
    }
}
