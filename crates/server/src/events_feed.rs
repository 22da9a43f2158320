//! `GET /v1/admin/events`: the log as server-sent events, for outside systems that build their own read models.
//!
//! Personal values stay sealed and payloads stay away: whoever follows learns what the log says, not what it protects.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use events::ports::Entropy;
use events::{Batch, EventStore, Family, Position, ReadError};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use replay::export::{Format, line};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::environment::SystemEntropy;

/// How many may follow at once on one node.
const PLACES: usize = 16;

/// Between two signs of life while nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What followers follow.
#[derive(Clone)]
pub(crate) struct EventsFeed {
    store: Arc<dyn EventStore>,
    token: Option<Arc<str>>,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl EventsFeed {
    /// A feed of the log. Without a token nobody may follow.
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        token: Option<Arc<str>>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store,
            token,
            places: Arc::new(Semaphore::new(PLACES)),
            shutdown,
        }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match (&self.token, shown) {
            (Some(token), Some(shown)) => token.as_bytes().ct_eq(shown.as_bytes()).into(),
            _ => false,
        }
    }
}

/// A new token: 32 random bytes as text.
pub(crate) fn fresh_token() -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    BASE64_URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

/// Reads the token's file.
pub(crate) fn read_token(file: &Path) -> anyhow::Result<Arc<str>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("audit.events_token_file: cannot read {}", file.display()))?;
    let token = text.trim();
    anyhow::ensure!(
        token.len() >= 16,
        "audit.events_token_file: {} holds no token of 16 characters or more",
        file.display()
    );
    Ok(token.into())
}

pub(crate) fn router(feed: EventsFeed) -> Router {
    Router::new()
        .route("/v1/admin/events", get(follow))
        .with_state(feed)
}

/// Which events are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Begin after this position. `Last-Event-ID` wins over it.
    after: Option<u64>,
    /// Names of families, with commas between.
    family: Option<String>,
    /// Names of events, with commas between.
    #[serde(rename = "type")]
    kind: Option<String>,
}

async fn follow(
    State(feed): State<EventsFeed>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    if !feed.admits(&headers) {
        return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
    }
    let Some(families) = families(wanted.family.as_deref()) else {
        return (StatusCode::BAD_REQUEST, "there is no such family\n").into_response();
    };
    let Some(after) = begin(&headers, wanted.after) else {
        return (StatusCode::BAD_REQUEST, "Last-Event-ID is not a position\n").into_response();
    };
    let Ok(place) = Arc::clone(&feed.places).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many follow already\n").into_response();
    };
    let kinds = wanted
        .kind
        .map(|kinds| names(&kinds).map(str::to_owned).collect());
    let follower = Follower {
        batches: feed.store.follow(after, &families),
        through: after,
        kinds,
        _place: place,
    };
    let stopped = feed.shutdown.clone().cancelled_owned();
    let portions = futures::stream::unfold(follower, Follower::next).take_until(stopped);
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(portions)).into_response()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

fn families(list: Option<&str>) -> Option<Vec<Family>> {
    match list {
        None => Some(Family::ALL.to_vec()),
        Some(list) => names(list).map(|name| name.parse().ok()).collect(),
    }
}

/// Where to begin: where the follower was, or where it asks to, or with the first event.
fn begin(headers: &HeaderMap, after: Option<u64>) -> Option<Position> {
    match headers.get("last-event-id") {
        Some(id) => Some(Position(id.to_str().ok()?.trim().parse().ok()?)),
        None => Some(Position(after.unwrap_or_default())),
    }
    // The log counts in 63 bits.
    .filter(|position| i64::try_from(position.0).is_ok())
}

/// One who follows. Nothing is read before what was read is sent.
struct Follower {
    batches: BoxStream<'static, Result<Batch, ReadError>>,
    through: Position,
    kinds: Option<HashSet<String>>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// What is sent next. The response ends where the log cannot be read: the follower comes back with `Last-Event-ID`.
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        let text = match tokio::time::timeout(HEARTBEAT, self.batches.next()).await {
            Ok(Some(Ok(batch))) => {
                self.through = batch.through;
                self.text(&batch)
            }
            Ok(Some(Err(_)) | None) => return None,
            Err(_) => ": alive\n".to_owned(),
        };
        // Also where no event was wanted: the follower need not begin before this place again.
        let text = format!("{text}id: {}\n\n", self.through);
        Some((Ok(text.into()), self))
    }

    fn text(&self, batch: &Batch) -> String {
        let mut text = String::new();
        for event in &batch.events {
            let kind = &*event.type_name;
            if self
                .kinds
                .as_ref()
                .is_some_and(|kinds| !kinds.contains(kind))
            {
                continue;
            }
            // What is no JSON was made by hand; `audit check` names it.
            if let Ok(line) = line(event, Format::Jsonl) {
                let position = event.position;
                let written = write!(text, "id: {position}\nevent: {kind}\ndata: {line}\n\n");
                written.expect("writing to a string works");
            }
        }
        text
    }
}
