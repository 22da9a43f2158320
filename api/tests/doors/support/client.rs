//! Plain requests, straight into the router.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

/// What official clients call themselves.
pub(crate) const OFFICIAL: &str = "Signal-Desktop/7.80.0 Linux";

/// Asks; with the headers that it was given.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    headers: HeaderMap,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router,
            headers: HeaderMap::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.headers.insert(name, value.as_ref().parse().unwrap());
        self
    }

    pub(crate) fn basic(self, username: &str, password: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        self.with("authorization", format!("Basic {credentials}"))
    }

    pub(crate) fn official(self) -> Self {
        self.with("user-agent", OFFICIAL)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        *request.headers_mut().unwrap() = self.headers.clone();
        let from = SocketAddr::from(([192, 0, 2, 1], 443));
        let request = request.extension(ConnectInfo(from));
        let request = request
            .body(body.map_or(Body::empty(), Body::from))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        assert!(
            reply.headers.contains_key("x-signal-timestamp"),
            "every answer is stamped"
        );
        reply
    }

    pub(crate) async fn json(&self, method: &str, path: &str, body: Value) -> Reply {
        let client = self.clone().with("content-type", "application/json");
        client
            .send(method, path, Some(body.to_string().into_bytes()))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.json("PUT", path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.json("POST", path, body).await
    }
}

impl Reply {
    /// The body, of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        self.value()
    }

    /// The body, if it is JSON to the letter.
    pub(crate) fn value(&self) -> Value {
        match self.header("content-type") {
            Some("application/json") => serde_json::from_slice(&self.body).unwrap(),
            _ => Value::Null,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `X-Event-Position`.
    pub(crate) fn position(&self) -> Option<u64> {
        self.header("x-event-position")
            .map(|position| position.parse().unwrap())
    }
}
