//! `Idempotency-Key`: whoever has lost an answer asks again with the same key, and is answered as the first time.
//!
//! The key of a request that changes something (POST, PUT, PATCH, DELETE) is remembered for a day, for its caller alone:
//! callers are told apart by the credentials that they show, or showed when they opened the WebSocket.
//!
//! | the key comes back | answer |
//! |---|---|
//! | with the same request | the first answer, with its `X-Event-Position` and `Idempotency-Replayed: true` |
//! | with another request | 422 |
//! | malformed: less than 16 or more than 255 characters | 400 |
//!
//! Calls over gRPC go the same way, with refusals of their own kind ([`crate::grpc`]).
//!
//! A request is noted before it is carried out, and its id, its time and its randomness derive from the note. So one whose
//! answer was never written down (the server ended, or two of them came at once) is carried out again *as it was*: it mints
//! the same ids, finds its own events in the log, and nothing happens twice ([`commands::executor::own`]). Answers that
//! say "not now" or "who are you" (401, 408, 429, 5xx) are not remembered.
//!
//! What is remembered is sealed with a key that only the caller's own key leads to.

use std::fmt;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use commands::executor::own::OwnEvents;
use crypto::doors::{DoorKey, open, seal};
use events::ids::DeviceAddress;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::entropy::as_before;
use crate::http::body::BodyPatience;
use crate::http::extract::basic::{Basic, Username};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::wire::Base64;
use crate::limits;
use crate::state::{Api, EventPosition};

/// In a request: the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// In an answer: it was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The largest body of an answer that is remembered. Answers to changes have a few kilobytes.
const LARGEST: usize = 64 * 1024;

/// A caller, as far as keys are told apart: a digest of their credentials. Nobody has the same but who shows the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller([u8; 32]);

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(…)")
    }
}

impl Caller {
    /// Whoever shows these headers. `<aci>` and `<aci>.1` are the same.
    pub(crate) fn of(key: &DoorKey, headers: &HeaderMap) -> Self {
        let Some(Ok(Basic { username, password })) = Basic::of(headers) else {
            return Self(key.tag("caller", &[]));
        };
        let name = match username.0.parse::<Username>() {
            Ok(username) => format!("{username:?}"),
            Err(_) => username.0.into(),
        };
        Self(key.tag("caller", &[name.as_bytes(), password.0.as_bytes()]))
    }
}

/// An answer, as it is remembered.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Fields,
    body: Base64<Vec<u8>>,
    /// How a call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trailers: Option<Fields>,
}

type Fields = Vec<(String, String)>;

/// What of an answer belongs to its meaning. The rest is made anew.
const KEPT: [HeaderName; 7] = [
    CONTENT_TYPE,
    EventPosition::HEADER,
    ETAG,
    LOCATION,
    CALL_STATUS,
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// How a call ended.
const CALL_STATUS: HeaderName = HeaderName::from_static("grpc-status");

fn kept(headers: &HeaderMap) -> Fields {
    let kept = KEPT.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    kept.collect()
}

fn headers(fields: Fields) -> Option<HeaderMap> {
    let parse = |(name, value): (String, String)| {
        Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?))
    };
    fields.into_iter().map(parse).collect()
}

impl Answer {
    fn of(status: StatusCode, headers: &HeaderMap, body: &Whole) -> Self {
        Self {
            status: status.as_u16(),
            headers: kept(headers),
            body: Base64::new(body.bytes.to_vec()),
            trailers: body.trailers.as_ref().map(kept),
        }
    }

    fn into_response(self) -> Option<Response> {
        let whole = Whole {
            bytes: self.body.0.into(),
            trailers: match self.trailers {
                Some(trailers) => Some(headers(trailers)?),
                None => None,
            },
        };
        let mut response = Response::new(whole.into());
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        *response.headers_mut() = headers(self.headers)?;
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    }
}

/// The body of an answer, all of it.
#[derive(Default)]
struct Whole {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Whole {
    /// Reads a body. One that breaks off or is too large is nothing.
    async fn of(body: Body, most: usize) -> Self {
        match Limited::new(body, most).collect().await {
            Ok(collected) => Self {
                trailers: collected.trailers().cloned(),
                bytes: collected.to_bytes(),
            },
            Err(_) => Self::default(),
        }
    }
}

impl From<Whole> for Body {
    fn from(whole: Whole) -> Self {
        match whole.trailers {
            None => Self::from(whole.bytes),
            Some(trailers) => {
                let trailers = std::future::ready(Some(Ok(trailers)));
                Self::new(Full::new(whole.bytes).with_trailers(trailers))
            }
        }
    }
}

/// Whether an answer settles the matter.
fn is_final(status: StatusCode, headers: &HeaderMap, trailers: Option<&HeaderMap>) -> bool {
    let of_call = trailers.unwrap_or(headers).get(CALL_STATUS);
    if let Some(code) = of_call {
        let code = Code::from_bytes(code.as_bytes());
        return [Code::Ok, Code::InvalidArgument].contains(&code);
    }
    !status.is_server_error()
        && ![
            StatusCode::UNAUTHORIZED,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_MANY_REQUESTS,
        ]
        .contains(&status)
}

fn changes(request: &Request) -> bool {
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    changes.contains(request.method())
}

/// The key of a request. Quotation marks around it are not part of it.
fn key(request: &Request) -> Option<Result<String, Problem>> {
    let text = request.headers().get(KEY)?.to_str().unwrap_or_default();
    let text = text.trim().trim_matches('"');
    Some(if (16..=255).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Problem::bad_parameter(
            "header Idempotency-Key must have 16 to 255 characters",
        ))
    })
}

/// The layer.
pub(crate) async fn once(State(api): State<Api>, request: Request, next: Next) -> Response {
    if !changes(&request) {
        return next.run(request).await;
    }
    let answered = carry_out_once(&api, request, limits::MESSAGE_BODY, next).await;
    answered.unwrap_or_else(Problem::into_response)
}

/// Carries a request out, or answers it as the first time. Its body may have so many bytes.
pub(crate) async fn carry_out_once(
    api: &Api,
    request: Request,
    most: usize,
    next: Next,
) -> Result<Response, Problem> {
    match key(&request) {
        None => Ok(next.run(request).await),
        Some(key) => answer(api, &key?, request, most, next).await,
    }
}

async fn answer(
    api: &Api,
    key: &str,
    request: Request,
    most: usize,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let body = read(BodyPatience::of(&parts.extensions), body, most).await?;
    let asked = parts.extensions.get::<Asked>().expect("from a layer above");
    let first_at = asked.at();
    let caller = parts.extensions.get::<Caller>().copied();
    let caller = caller.unwrap_or_else(|| Caller::of(&api.door_key, &parts.headers));
    let id = api.door_key.tag("outcome", &[&caller.0, key.as_bytes()]);
    let secret = api.door_key.tag("answer", &[&caller.0, key.as_bytes()]);
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let method = parts.method.as_str();
    let what: [&[u8]; 3] = [method.as_bytes(), target.as_bytes(), &body];
    let fingerprint = api.door_key.tag("fingerprint", &what);

    let unavailable = |error| Problem::unavailable(&error);
    let begun = api.outcomes.begin(id, fingerprint, first_at).await;
    let begun = begun.map_err(unavailable)?;
    if begun.fingerprint != fingerprint {
        return Err(Problem::unprocessable(
            "The Idempotency-Key was used for another request",
        ));
    }
    let millis = begun.at.epoch_millis();
    let request_id = commands::executor::request_id(millis, &id);
    let asked = asked.again(request_id, begun.at, Arc::new(OwnEvents::default()));
    let known_as = asked.clone();
    let replay = |sealed: &[u8]| {
        let answer = open(&secret, sealed)?;
        let answer: Answer = serde_json::from_slice(&answer).ok()?;
        let mut response = answer.into_response()?;
        response.extensions_mut().insert(known_as.clone());
        Some(response)
    };
    if let Some(response) = begun.answer.and_then(|sealed| replay(&sealed)) {
        return Ok(response);
    }

    parts.extensions.insert(asked);
    let seed = api.door_key.tag("as before", &[request_id.0.as_bytes()]);
    let carried_out = next.run(Request::from_parts(parts, Body::from(body)));
    let response = as_before(seed, carried_out).await;

    let (mut parts, body) = response.into_parts();
    let body = Whole::of(body, most.max(limits::KEYS_BODY)).await;
    parts.extensions.insert(known_as.clone());
    let is_final = is_final(parts.status, &parts.headers, body.trailers.as_ref());
    if is_final && body.bytes.len() <= LARGEST {
        let answer = Answer::of(parts.status, &parts.headers, &body);
        let answer = serde_json::to_vec(&answer).expect("an answer is plain data");
        let sealed = Bytes::from(seal(&secret, &answer));
        let settled = api.outcomes.settle(id, sealed.clone()).await;
        // Somebody else was carrying it out at the same time, and was first.
        if let Some(response) = settled
            .ok()
            .filter(|settled| *settled != sealed)
            .and_then(|settled| replay(&settled))
        {
            return Ok(response);
        }
    }
    Ok(Response::from_parts(parts, body.into()))
}

/// Reads the body: its digest tells whether it is the same request.
async fn read(patience: BodyPatience, body: Body, most: usize) -> Result<Bytes, Problem> {
    let read = patience.bound(to_bytes(body, most)).await?;
    read.map_err(|_| Problem::of(StatusCode::PAYLOAD_TOO_LARGE))
}

/// Who opened a WebSocket, for the requests inside it; nobody in particular, if it was opened without credentials.
pub(crate) fn opener(
    api: &Api,
    headers: &HeaderMap,
    device: Option<DeviceAddress>,
) -> Option<Caller> {
    device.map(|_| Caller::of(&api.door_key, headers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine as _};

    fn headers(username: &str, password: &str) -> HeaderMap {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        let value = format!("Basic {credentials}").parse().unwrap();
        HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
    }

    #[test]
    fn callers_are_told_apart_by_what_they_show() {
        let key = DoorKey::new([1; 32]);
        let aci = "2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
        let caller = |name: &str, password| Caller::of(&key, &headers(name, password));
        let first = caller(aci, "a");
        assert!(first == caller(&format!("{aci}.1"), "a"));
        assert!(first == caller(&aci.to_uppercase(), "a"));
        for (name, password) in [
            (aci, "b"),
            (&*format!("{aci}.2"), "a"),
            ("+14151231234", "a"),
            ("x", "a"),
        ] {
            assert!(first != caller(name, password), "{name}");
        }
        assert!(first != Caller::of(&key, &HeaderMap::new()));
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        headers.insert(EventPosition::HEADER, 7.into());
        headers.insert("x-signal-timestamp", 1.into());
        let body = Whole {
            bytes: Bytes::from_static(b"{}"),
            trailers: None,
        };
        let answer = Answer::of(StatusCode::CONFLICT, &headers, &body);
        let response = answer.into_response().unwrap();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[EventPosition::HEADER], "7");
        assert!(!response.headers().contains_key("x-signal-timestamp"));
        assert_eq!(response.headers()[REPLAYED], "true");
    }
}
