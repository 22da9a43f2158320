//! Refusals and failures as clients know them: one type for everything that is not a success.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use commands::command::NeverRefused;
use commands::executor::Failure;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;
use tracing::{debug, error};

use crate::config::Dialect;

/// The content type of every JSON body. Clients compare it to the letter: no charset.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that is not a success, with the body that clients expect.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    body: Telling,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
enum Telling {
    Nothing,
    Json(Vec<u8>),
    /// `{"code", "message"}`.
    Message(Cow<'static, str>),
    /// The one answer that is not JSON: credentials are required.
    Credentials,
}

impl Problem {
    /// `{"code", "message"}` with the message that the status has by itself.
    pub fn of(status: StatusCode) -> Self {
        let phrase = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
            other => other.canonical_reason().unwrap_or("Refused"),
        };
        Self::saying(status, format!("HTTP {} {phrase}", status.as_u16()))
    }

    /// `{"code", "message"}`.
    pub fn saying(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            body: Telling::Message(message.into()),
            retry_after: None,
        }
    }

    /// A body of the endpoint's own.
    pub fn with(status: StatusCode, body: &impl Serialize) -> Self {
        let json = serde_json::to_vec(body).expect("bodies are plain data with text keys");
        Self {
            status,
            body: Telling::Json(json),
            retry_after: None,
        }
    }

    /// Nothing but a status.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: Telling::Nothing,
            retry_after: None,
        }
    }

    /// 400 with a message.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::saying(StatusCode::BAD_REQUEST, message)
    }

    /// 400: a parameter of path, query or header breaks its rule.
    pub fn bad_parameter(rule: impl Into<String>) -> Self {
        Self::with(StatusCode::BAD_REQUEST, &json!({ "errors": [rule.into()] }))
    }

    /// The same where one of two contracts counts: that of the OpenAPI document knows one status for every request that is
    /// not as it should be, the other tells broken JSON (400) from broken rules (422).
    #[must_use]
    pub fn in_dialect(mut self, dialect: Dialect) -> Self {
        if dialect == Dialect::Seed && self.status == StatusCode::UNPROCESSABLE_ENTITY {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// 401: whoever wants this must show credentials, and those shown (if any) are not good.
    pub fn credentials_required() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            body: Telling::Credentials,
            retry_after: None,
        }
    }

    /// 401 from within an endpoint.
    pub fn unauthorized() -> Self {
        Self::of(StatusCode::UNAUTHORIZED)
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND)
    }

    /// 422: the body is JSON, but not of the expected shape. Empty, as clients know it.
    pub fn unmappable() -> Self {
        Self::empty(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// 422: the body has the expected shape, and these of its rules are broken: `<property path> <rule>` each.
    pub fn invalid(errors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let errors: Vec<String> = errors.into_iter().map(Into::into).collect();
        Self::with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "errors": errors }),
        )
    }

    /// 422 from a rule that needs more than the body, such as a signature.
    pub fn unprocessable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::saying(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 500: a bug. The id is in the log, too.
    pub fn internal(id: u64) -> Self {
        let message = format!(
            "There was an error processing your request. It has been logged (ID {id:016x})."
        );
        Self::saying(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 503: something that the server needs is not there. Logs the cause; nothing else needs to.
    pub fn unavailable(cause: &(dyn Error + 'static)) -> Self {
        error!(cause = %chain(cause), "answering 503: a dependency is unavailable");
        Self::of(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Adds `Retry-After`: whole seconds, rounded up, because clients do not understand dates.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// When trying again makes sense, if that is known.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The answer to a command that did not take effect, where its refusals need more than [`Into`] to become one.
    pub fn from_failure<R: Error>(failure: Failure<R>, refused: impl FnOnce(R) -> Self) -> Self {
        match failure {
            Failure::Refused(refusal) => {
                debug!(%refusal, "refused");
                refused(refusal)
            }
            Failure::Contended { attempts } => {
                error!(
                    attempts,
                    "answering 503: other writers were faster each time"
                );
                Self::of(StatusCode::SERVICE_UNAVAILABLE).retry_after(Duration::from_secs(1))
            }
            Failure::Overloaded { retry_after } => {
                error!(
                    ?retry_after,
                    "answering 503: more is waiting to be stored than the queue takes"
                );
                Self::of(StatusCode::SERVICE_UNAVAILABLE).retry_after(retry_after)
            }
            Failure::Unavailable(cause) => Self::unavailable(&*cause),
        }
    }
}

impl<R: Error + Into<Problem>> From<Failure<R>> for Problem {
    fn from(failure: Failure<R>) -> Self {
        Self::from_failure(failure, Into::into)
    }
}

impl From<NeverRefused> for Problem {
    fn from(never: NeverRefused) -> Self {
        match never {}
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        match self.body {
            Telling::Nothing => {}
            Telling::Json(json) => {
                headers.insert(CONTENT_TYPE, JSON);
                *response.body_mut() = json.into();
            }
            Telling::Message(message) => {
                headers.insert(CONTENT_TYPE, JSON);
                let body = json!({ "code": self.status.as_u16(), "message": message });
                *response.body_mut() = body.to_string().into();
            }
            Telling::Credentials => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                headers.insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static(r#"Basic realm="realm""#),
                );
                *response.body_mut() =
                    Body::from("Credentials are required to access this resource.");
            }
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An error with its causes, on one line.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    struct Chain<'a>(&'a (dyn Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self.0, f)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        }
    }
    Chain(error)
}
