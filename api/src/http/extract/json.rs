//! JSON bodies: read in bounded time and size, parsed, and refused in the words that clients know.

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::http::body::BodyPatience;
use crate::http::problem::{JSON, Problem};
use crate::http::wire::Object;

/// A JSON body: of a request, or of a response with status 200.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = read(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be left out.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let is_json = is_json(&request);
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            Ok(None)
        } else if is_json {
            parse(&bytes).map(Self).map(Some)
        } else {
            Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE))
        }
    }
}

/// Whether the body says it is JSON. One that says nothing is taken at its word as soon as it parses.
fn is_json(request: &Request) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return true;
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn read(request: Request, state: &(impl Send + Sync)) -> Result<Bytes, Problem> {
    let patience = BodyPatience::of(request.extensions());
    let read = patience.bound(Bytes::from_request(request, state)).await?;
    read.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::of(StatusCode::PAYLOAD_TOO_LARGE),
        _ => Problem::bad_request("the body broke off"),
    })
}

/// Broken JSON is 400, JSON of another shape 422 without a body, no body at all the violation of a rule.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() || bytes == b"null" {
        return Err(Problem::invalid(["request body must not be null"]));
    }
    let parsed = serde_json::from_slice(bytes).map(|Object(body)| body);
    parsed.map_err(|error| match error.classify() {
        Category::Data => Problem::unmappable(),
        _ => Problem::bad_request("Unable to process JSON"),
    })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).expect("responses are plain data with text keys");
        ([(CONTENT_TYPE, JSON)], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, serde::Deserialize)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        number: u8,
    }

    fn status(body: &str) -> StatusCode {
        parse::<Body>(body.as_bytes()).unwrap_err().status()
    }

    #[test]
    fn syntax_is_400_and_shape_is_422() {
        for body in ["{", "{\"number\":", "hello", "{\"number\":1} x"] {
            assert_eq!(status(body), StatusCode::BAD_REQUEST, "{body}");
        }
        for body in [
            "",
            "null",
            "{}",
            "[1]",
            "7",
            "\"x\"",
            "{\"number\":256}",
            "{\"number\":\"1\"}",
        ] {
            assert_eq!(status(body), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        }
        assert!(parse::<Body>(b" {\"number\": 1, \"more\": [] }").is_ok());
    }

    #[test]
    fn the_content_type_must_be_json_if_it_is_there() {
        let with = |value: &str| {
            is_json(
                &Request::builder()
                    .header(CONTENT_TYPE, value)
                    .body(axum::body::Body::empty())
                    .unwrap(),
            )
        };
        assert!(with("application/json") && with("Application/JSON; charset=utf-8"));
        assert!(!with("text/plain") && !with("application/jsonp") && !with(""));
        assert!(is_json(&Request::new(axum::body::Body::empty())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body_or_refused(bytes: Vec<u8>) {
            if let Err(problem) = parse::<serde_json::Value>(&bytes) {
                prop_assert!(problem.status().is_client_error());
            }
        }
    }
}
