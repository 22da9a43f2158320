//! What every call goes through: its identity and its line in the log, its credentials, and the nets below the services.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tonic::{Code, Status};
use tracing::{error, info};

use super::router::Methods;
use super::status::{self, DOCUMENTED};
use crate::http::extract::device::{Shown, shown};
use crate::http::extract::{Authenticated, ClientAddress};
use crate::http::idempotency::carry_out_once;
use crate::http::layers::{Asked, REQUEST_ID};
use crate::http::version::is_too_old;
use crate::limits;
use crate::state::{Api, EventPosition};

/// Gives the call its identity, and writes its line in the log. Of a call that answers in a stream, the line is about
/// how it began.
pub(crate) async fn observe(
    State((api, methods)): State<(Api, Methods)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let asked = Asked::of(&api, request.headers());
    let method = methods.label(request.uri().path());
    request.extensions_mut().insert(asked.clone());
    if let Some(address) = ClientAddress::of(&request, &api.config.trusted_proxies) {
        request.extensions_mut().insert(address);
    }

    let mut response = next.run(request).await;
    // One that has come before goes by its first name.
    let asked = response.extensions_mut().remove::<Asked>().unwrap_or(asked);

    let elapsed = started.elapsed();
    let id = asked.id();
    let code = code(response.headers()).unwrap_or(Code::Ok);
    let position = response
        .headers()
        .get(EventPosition::HEADER)
        .and_then(|value| value.to_str().ok());
    info!(
        target: "request",
        request = id.to_str().unwrap_or_default(),
        method = "POST",
        route = method,
        status = i32::from(code),
        actor = asked.actor_kind(),
        transport = "grpc",
        position,
        elapsed_ms = elapsed.as_secs_f64() * 1000.0,
    );
    let labels = [
        ("method", method.to_owned()),
        ("status", i32::from(code).to_string()),
    ];
    metrics::histogram!("grpc_call_duration_seconds", &labels).record(elapsed.as_secs_f64());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The status of an answer that has no message.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|code| Code::from_bytes(code.as_bytes()))
}

/// Lets no status out that clients do not know, or without the details that they look for: neither as the answer nor at
/// the end of a stream.
pub(crate) async fn documented(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match undocumented(response.headers()) {
        Some(status) => answer(&status),
        None => response.map(|body| Body::new(body.map_frame(documented_end))),
    }
}

fn documented_end(frame: Frame<Bytes>) -> Frame<Bytes> {
    let trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    let documented = undocumented(&trailers).and_then(|status| {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).ok()?;
        Some(headers)
    });
    Frame::trailers(documented.unwrap_or(trailers))
}

/// What is to be said in the place of a status that clients do not know.
fn undocumented(headers: &HeaderMap) -> Option<Status> {
    let status = Status::from_header_map(headers)?;
    let known = DOCUMENTED.contains(&status.code()) && !status.details().is_empty();
    (status.code() != Code::Ok && !known).then(|| status::of_framework(status))
}

/// Ends a call without a message.
pub(crate) fn answer(status: &Status) -> Response {
    status.clone().into_http()
}

/// Answers 14 where a service panics or takes too long.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limits::REQUEST_PATIENCE, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            // The panic hook has told what and where.
            error!("answering 14: a service panicked");
            answer(&status::unavailable("the call failed"))
        }
        Err(_) => {
            error!(
                "answering 14: a call took longer than {:?}",
                limits::REQUEST_PATIENCE
            );
            answer(&status::unavailable("the call took too long"))
        }
    }
}

/// Lets devices in that prove who they are; each call does so by itself.
pub(crate) async fn devices_only(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = match shown(&api, request.headers()).await {
        Ok(Shown::Right(address)) => address,
        Ok(Shown::Nothing | Shown::Wrong) => return answer(&status::invalid_credentials()),
        Err(problem) => return answer(&status::of_problem(&problem)),
    };
    let extensions = request.extensions_mut();
    if let Some(asked) = extensions.get::<Asked>() {
        asked.is_by("device");
    }
    extensions.insert(Authenticated { address });
    next.run(request).await
}

/// Lets everybody in who does not say who they are.
pub(crate) async fn nobody_in_particular(request: Request, next: Next) -> Response {
    if request.headers().contains_key(AUTHORIZATION) {
        return answer(&status::bad_authentication(
            "the service is for callers without credentials",
        ));
    }
    next.run(request).await
}

/// Carries a call that changes something out once for each `idempotency-key`, as requests over HTTP.
pub(crate) async fn once(
    State((api, methods)): State<(Api, Methods)>,
    request: Request,
    next: Next,
) -> Response {
    if !methods.may_be_repeated(request.uri().path()) {
        return next.run(request).await;
    }
    let answered = carry_out_once(&api, request, limits::CALL, next).await;
    answered.unwrap_or_else(|problem| answer(&status::of_problem(&problem)))
}

/// Lets everybody in. Whoever says who they are has to prove it.
pub(crate) async fn anybody(State(api): State<Api>, request: Request, next: Next) -> Response {
    match shown(&api, request.headers()).await {
        Ok(Shown::Right(_) | Shown::Nothing) => next.run(request).await,
        Ok(Shown::Wrong) => answer(&status::invalid_credentials()),
        Err(problem) => answer(&status::of_problem(&problem)),
    }
}

/// Turns away official clients that are too old. They have been asked for credentials before.
pub(crate) async fn new_enough(State(api): State<Api>, request: Request, next: Next) -> Response {
    if is_too_old(&api, request.headers()) {
        return answer(&status::upgrade_required());
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    async fn through<F>(handler: impl Fn() -> F + Clone + Send + Sync + 'static) -> Status
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let router = Router::new()
            .fallback(handler)
            .layer(from_fn(guard))
            .layer(from_fn(documented));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        Status::from_header_map(response.headers()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_14_with_details() {
        let status = through(|| async { panic!("in a service, for this test") }).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_details_error_info().is_some());
    }

    #[tokio::test]
    async fn no_status_goes_out_without_details() {
        let status = through(|| async { answer(&Status::not_found("a bug")) }).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_details_error_info().is_some());
    }

    #[tokio::test]
    async fn nor_does_one_at_the_end_of_a_stream() {
        let ending = async || {
            let mut trailers = HeaderMap::new();
            Status::internal("a bug").add_header(&mut trailers).unwrap();
            let trailers = std::future::ready(Some(Ok(trailers)));
            let body = http_body_util::Full::new(Bytes::from_static(b"a message"));
            Response::new(Body::new(body.with_trailers(trailers)))
        };
        let router = Router::new().fallback(ending).layer(from_fn(documented));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        let whole = response.into_body().collect().await.unwrap();
        let status = Status::from_header_map(whole.trailers().unwrap()).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.get_details_error_info().is_some());
        assert_eq!(whole.to_bytes(), "a message");
    }
}
