//! The port to what one client leaves for another and the server forgets: a provisioning message, a choice of how to
//! restore an account. Nothing of it is a fact, nothing of it is in the log.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Where two clients meet: a hash of what only they know.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place([u8; 32]);

impl Place {
    /// The place of this name, among those of its kind.
    pub fn new(kind: &'static str, name: &str) -> Self {
        Self(Sha256::digest(format!("{kind}/{name}")).into())
    }

    /// Reads what [`Self::as_bytes`] gave.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(…)")
    }
}

/// The places could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("the places where clients meet are unavailable")]
pub struct MeetingsUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Places where clients meet, the same for all nodes.
#[async_trait]
pub trait Meetings: Send + Sync + 'static {
    /// Opens a place for so long: something may be brought there, once.
    async fn open(&self, place: Place, keep: Duration) -> Result<(), MeetingsUnavailable>;

    /// Brings something to a place that somebody has opened; tells whether it is open and nothing was there.
    async fn bring(&self, place: Place, thing: Bytes) -> Result<bool, MeetingsUnavailable>;

    /// Leaves something at a place for so long, instead of what may be there.
    async fn leave(
        &self,
        place: Place,
        thing: Bytes,
        keep: Duration,
    ) -> Result<(), MeetingsUnavailable>;

    /// Waits until something is at the place, however long that takes. It stays there.
    async fn find(&self, place: Place) -> Result<Bytes, MeetingsUnavailable>;

    /// Waits until something else is at the place than this, or nothing.
    async fn replaced(&self, place: Place, thing: &[u8]) -> Result<(), MeetingsUnavailable>;

    /// Closes a place and forgets what is there.
    async fn close(&self, place: Place) -> Result<(), MeetingsUnavailable>;
}
