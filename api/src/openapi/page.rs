//! `GET /openapi.json`, and `GET /docs`: a page that shows it, and needs nothing from anywhere else.

use std::sync::LazyLock;

use axum::Router;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::state::Api;

static JSON: LazyLock<String> = LazyLock::new(super::json);

/// The page runs its own script on the document, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'";

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route(
            "/openapi.json",
            get(async || {
                let headers = [
                    (CONTENT_TYPE, "application/json"),
                    (CACHE_CONTROL, "no-cache"),
                ];
                (headers, JSON.as_str())
            }),
        )
        .route(
            "/docs",
            get(async || {
                let headers = [
                    (CONTENT_TYPE, "text/html; charset=utf-8"),
                    (CONTENT_SECURITY_POLICY, POLICY),
                ];
                (headers, include_str!("page.html"))
            }),
        )
}
