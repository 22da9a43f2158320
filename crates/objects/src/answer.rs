//! What uploads and downloads answer when they do not succeed.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// A refusal or failure: a status and a sentence.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    why: &'static str,
}

impl Refused {
    pub(crate) const fn new(status: StatusCode, why: &'static str) -> Self {
        Self { status, why }
    }

    pub(crate) const fn bad(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(crate) const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such object")
    }

    pub(crate) const fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "the form's token is missing, has expired or is for something else",
        )
    }
}

impl From<object_store::Error> for Refused {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::not_found(),
            error => {
                tracing::error!(%error, "answering 503: the object store failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the object store is unavailable",
                )
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, format!("{}\n", self.why)).into_response()
    }
}
