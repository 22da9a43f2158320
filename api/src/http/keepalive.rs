//! `GET /v1/keepalive` and `/v1/keepalive/provisioning`: tell a client that its WebSocket still works. Plain HTTP has no such
//! paths, and each belongs to one kind of socket.
//!
//! A socket that the hub no longer counts as the device's live one needs no closing from here: it was closed with 4409 or
//! 4401 the moment it lost its place.

use axum::Extension;
use http::StatusCode;

use crate::http::extract::SocketPeer;
use crate::http::problem::Problem;

/// 200 without a body.
pub(crate) async fn handler(peer: Option<Extension<SocketPeer>>) -> Result<StatusCode, Problem> {
    match peer {
        Some(Extension(SocketPeer::Anonymous | SocketPeer::Device(_))) => Ok(StatusCode::OK),
        Some(Extension(SocketPeer::Newcomer)) | None => Err(Problem::not_found()),
    }
}

/// The same for a device to be.
pub(crate) async fn provisioning(
    peer: Option<Extension<SocketPeer>>,
) -> Result<StatusCode, Problem> {
    match peer {
        Some(Extension(SocketPeer::Newcomer)) => Ok(StatusCode::OK),
        Some(Extension(SocketPeer::Anonymous | SocketPeer::Device(_))) | None => {
            Err(Problem::not_found())
        }
    }
}
