//! `GET /v1/keepalive`: tells a client that its WebSocket still works. Plain HTTP has no such path.
//!
//! A socket that the hub no longer counts as the device's live one needs no closing from here: it was closed with 4409 or
//! 4401 the moment it lost its place.

use axum::Extension;
use http::StatusCode;

use crate::http::extract::SocketPeer;
use crate::http::problem::Problem;

/// 200 without a body.
pub(crate) async fn handler(peer: Option<Extension<SocketPeer>>) -> Result<StatusCode, Problem> {
    peer.map(|_| StatusCode::OK).ok_or_else(Problem::not_found)
}
