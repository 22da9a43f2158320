//! How long the body of a request may take.

use std::time::Duration;

use http::{Extensions, StatusCode};

use crate::http::problem::Problem;
use crate::limits;

/// How long a client may take to send a body. Connections say it with each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyPatience(pub(crate) Duration);

impl BodyPatience {
    /// What the connection said; [`limits::BODY_PATIENCE`] where there is none.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let said = extensions.get::<Self>();
        said.copied().unwrap_or(Self(limits::BODY_PATIENCE))
    }

    /// Reads a body. One that takes longer is answered 408.
    pub(crate) async fn bound<T>(self, reading: impl Future<Output = T>) -> Result<T, Problem> {
        let read = tokio::time::timeout(self.0, reading).await;
        read.map_err(|_| Problem::of(StatusCode::REQUEST_TIMEOUT))
    }
}
