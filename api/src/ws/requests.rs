//! Requests inside a WebSocket: from a frame to the router's kind of request, and from its response back to a frame.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::http::extract::{ClientAddress, SocketPeer};
use crate::http::idempotency::{self, Caller};
use crate::http::problem::Problem;
use crate::ws::frame::{RequestFrame, ResponseFrame};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What every request of a socket has in common.
#[derive(Clone)]
pub(crate) struct Tunnel {
    peer: SocketPeer,
    caller: Option<Caller>,
    from: Option<ClientAddress>,
    headers: Arc<HeaderMap>,
}

impl Tunnel {
    /// `upgrade` are the headers of the request that opened the socket, `caller` is who did if they showed credentials,
    /// `from` where they are.
    pub(crate) fn new(
        peer: SocketPeer,
        caller: Option<Caller>,
        from: Option<ClientAddress>,
        upgrade: &HeaderMap,
    ) -> Self {
        let inherited = upgrade.iter().filter(|(name, _)| is_inherited(name));
        let headers = inherited
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            peer,
            caller,
            from,
            headers: Arc::new(headers),
        }
    }

    /// The request in the frame, as the router takes it. Who asks is settled by the socket, not by a header.
    pub(crate) fn request(&self, frame: RequestFrame) -> Result<Request, Problem> {
        let verb = frame
            .verb
            .ok_or_else(|| Problem::bad_request("the request has no verb"))?;
        let method = Method::from_bytes(verb.as_bytes())
            .map_err(|_| Problem::bad_request("the verb is malformed"))?;
        let uri = uri(&frame
            .path
            .ok_or_else(|| Problem::bad_request("the request has no path"))?)?;
        let mut request = Request::new(Body::from(frame.body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers_of(&frame.headers);
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        if let Some(caller) = self.caller {
            extensions.insert(caller);
        }
        if let Some(from) = self.from {
            extensions.insert(from);
        }
        Ok(request)
    }

    /// The connection's headers, replaced by the request's where both have one. What does not parse is left out.
    fn headers_of(&self, lines: &[String]) -> HeaderMap {
        let mut own = HeaderMap::new();
        for (name, value) in lines.iter().filter_map(|line| header(line)) {
            if name != FORWARDED_FOR
                && !(name == USER_AGENT && self.headers.contains_key(USER_AGENT))
            {
                own.append(name, value);
            }
        }
        let mut all = HeaderMap::with_capacity(self.headers.len() + own.len());
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| !own.contains_key(*name))
        {
            all.append(name.clone(), value.clone());
        }
        all.extend(own);
        all
    }
}

/// What is said of the connection, its handshake and its body is not said of the requests on it.
fn is_inherited(name: &HeaderName) -> bool {
    let connection = [
        CONNECTION,
        UPGRADE,
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        AUTHORIZATION,
        idempotency::KEY,
    ];
    !connection.contains(name) && !name.as_str().contains("websocket-")
}

fn uri(path: &str) -> Result<Uri, Problem> {
    let wrong = || Problem::bad_request("the path is malformed");
    if !path.starts_with('/') {
        return Err(wrong());
    }
    PathAndQuery::try_from(path)
        .map(Uri::from)
        .map_err(|_| wrong())
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

/// Whether the answer may be a large one. Of the requests that a socket takes only one asks for such: a page of messages.
pub(crate) fn asks_for_much(request: &Request) -> bool {
    *request.method() == Method::GET && request.uri().path().trim_end_matches('/') == "/v1/messages"
}

/// The largest response; the largest real one, a page of messages for REST clients, stays below.
const MAX_RESPONSE: usize = 32 * 1024 * 1024;

/// The response, as a frame. Without a body it has none at all: clients tell that from an empty one.
pub(crate) async fn answer(id: Option<u64>, response: Response, head: bool) -> ResponseFrame {
    let (parts, body) = response.into_parts();
    let body = match axum::body::to_bytes(body, MAX_RESPONSE).await {
        Ok(bytes) if !bytes.is_empty() && !head => Some(bytes),
        _ => None::<Bytes>,
    };
    let lines = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING);
    ResponseFrame {
        id,
        status: Some(parts.status.as_u16().into()),
        message: Some(
            parts
                .status
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
        ),
        body,
        headers: lines
            .filter_map(|(name, value)| Some(format!("{name}: {}", value.to_str().ok()?)))
            .collect(),
    }
}

/// The answer to a frame that holds no request that the router could take.
pub(crate) async fn refusal(id: Option<u64>, problem: Problem) -> ResponseFrame {
    answer(id, problem.into_response(), false).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use proptest::prelude::*;

    fn tunnel(upgrade: &[(&str, &str)]) -> Tunnel {
        let headers = upgrade
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Tunnel::new(SocketPeer::Anonymous, None, None, &headers)
    }

    fn frame(verb: &str, path: &str, headers: &[&str]) -> RequestFrame {
        RequestFrame {
            verb: Some(verb.into()),
            path: Some(path.into()),
            body: None,
            id: Some(0),
            headers: headers.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn headers_of_the_connection_hold_unless_the_request_has_its_own() {
        let tunnel = tunnel(&[
            ("user-agent", "outer"),
            ("accept-language", "de"),
            ("x-signal-receive-stories", "true"),
            ("authorization", "Basic eDp5"),
            ("sec-websocket-key", "k"),
            ("upgrade", "websocket"),
        ]);
        let lines = [
            "User-Agent:inner",
            "Accept-Language: en",
            "X-Forwarded-For: 1.2.3.4",
            "no colon",
            "bad name: x",
            "x-url:http://a",
        ];
        let request = tunnel.request(frame("GET", "/v1/a?b=c", &lines)).unwrap();
        let mut headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(n, v)| format!("{n}={}", v.to_str().unwrap()))
            .collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "accept-language=en",
                "user-agent=outer",
                "x-signal-receive-stories=true",
                "x-url=http://a"
            ]
        );
        assert_eq!(request.uri().query(), Some("b=c"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let tunnel = tunnel(&[]);
        for (verb, path) in [
            ("GET", ""),
            ("GET", "v1"),
            ("GET", "http://x/y"),
            ("GET", "/ä b"),
            ("", "/"),
            ("G T", "/"),
        ] {
            let refused = tunnel.request(frame(verb, path, &[])).unwrap_err();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{verb} {path}");
        }
        assert!(tunnel.request(RequestFrame::default()).is_err());
    }

    #[tokio::test]
    async fn an_answer_without_a_body_has_none() {
        let frame = answer(Some(0), StatusCode::NO_CONTENT.into_response(), false).await;
        assert_eq!(
            (frame.id, frame.status, frame.body),
            (Some(0), Some(204), None)
        );
        let frame = refusal(None, Problem::not_found()).await;
        assert_eq!(frame.headers, ["content-type: application/json"]);
        assert_eq!(
            frame.body.unwrap(),
            r#"{"code":404,"message":"HTTP 404 Not Found"}"#
        );
    }

    proptest! {
        #[test]
        fn any_frame_is_a_request_or_refused(verb: String, path: String, lines: Vec<String>) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let _ = tunnel(&[("user-agent", "x")]).request(frame(&verb, &path, &lines));
        }
    }
}
