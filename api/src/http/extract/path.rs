//! Parameters of paths and queries.

use axum::extract::{FromRequestParts, Path, Query};
use events::values::username::UsernameHash;
use events::{Aci, DeviceId, E164, LinkHandle, MessageGuid, ServiceId, SessionId};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;
use crate::http::wire;

/// What can stand between two slashes. Each kind knows how clients expect to be told that it does not.
pub trait Segment: Sized {
    /// Parses the decoded text.
    fn parse(text: &str) -> Result<Self, Problem>;
}

/// Somebody, by an identity of theirs or by their number.
#[derive(Clone, Debug)]
pub enum Named<I> {
    /// The identity.
    Identity(I),
    /// The number: it begins with a plus sign.
    Number(E164),
}

impl<I: Segment> Segment for Named<I> {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.starts_with('+') {
            text.parse()
                .map(Self::Number)
                .map_err(|_| Problem::not_found())
        } else {
            I::parse(text).map(Self::Identity)
        }
    }
}

/// One parsed segment, or two or three of them.
#[derive(Debug)]
pub struct Segments<T>(pub T);

impl<T: Segment, S: Send + Sync> FromRequestParts<S> for Segments<(T,)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = decoded(parts, state).await?;
        Ok(Self((T::parse(&text)?,)))
    }
}

impl<T: Segment, U: Segment, S: Send + Sync> FromRequestParts<S> for Segments<(T, U)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (first, second): (String, String) = decoded(parts, state).await?;
        Ok(Self((T::parse(&first)?, U::parse(&second)?)))
    }
}

impl<T: Segment, U: Segment, V: Segment, S: Send + Sync> FromRequestParts<S>
    for Segments<(T, U, V)>
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (first, second, third): (String, String, String) = decoded(parts, state).await?;
        Ok(Self((
            T::parse(&first)?,
            U::parse(&second)?,
            V::parse(&third)?,
        )))
    }
}

/// The percent-decoded segments. What is not UTF-8 names nothing.
async fn decoded<T, S>(parts: &mut Parts, state: &S) -> Result<T, Problem>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    let path = Path::<T>::from_request_parts(parts, state).await;
    path.map(|Path(text)| text)
        .map_err(|_| Problem::not_found())
}

/// Any text.
#[derive(Debug)]
pub struct Text(pub String);

impl Segment for Text {
    fn parse(text: &str) -> Result<Self, Problem> {
        Ok(Self(text.to_owned()))
    }
}

impl Segment for ServiceId {
    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::not_found())
    }
}

impl Segment for Aci {
    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::not_found())
    }
}

/// Whatever is no kind of its own; the endpoint says what it thinks of it.
impl Segment for String {
    fn parse(text: &str) -> Result<Self, Problem> {
        Ok(text.to_owned())
    }
}

impl Segment for DeviceId {
    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::not_found())
    }
}

impl Segment for MessageGuid {
    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::not_found())
    }
}

impl Segment for LinkHandle {
    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::not_found())
    }
}

impl Segment for UsernameHash {
    /// 32 bytes in base64, or it is not even a hash.
    fn parse(text: &str) -> Result<Self, Problem> {
        let bytes = wire::from_url_safe(text);
        let hash = bytes.and_then(|bytes| Self::try_from(bytes).ok());
        hash.ok_or_else(Problem::unmappable)
    }
}

impl Segment for SessionId {
    /// Base64 that is no session's id is not found; what is not base64 is not even an id.
    fn parse(text: &str) -> Result<Self, Problem> {
        session_id(text)
            .ok_or_else(|| Problem::unprocessable("Malformed session ID"))?
            .ok_or_else(Problem::not_found)
    }
}

/// `None` for what is not base64, `Some(None)` for base64 of something that cannot be an id.
pub fn session_id(text: &str) -> Option<Option<SessionId>> {
    let bytes = wire::from_url_safe(text)?;
    Some(
        uuid::Uuid::from_slice(&bytes)
            .ok()
            .map(SessionId::from_uuid),
    )
}

/// The query, where a value that does not fit is a bad parameter.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Self(parameters))
            .map_err(|rejection| Problem::bad_parameter(rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use proptest::prelude::*;

    #[test]
    fn a_session_id_is_base64_of_16_bytes_with_or_without_padding() {
        let id = SessionId::from_random([9; 16]);
        let text = wire::to_url_safe_padded(id.as_bytes());
        assert!(text.ends_with("=="));
        assert_eq!(SessionId::parse(&text).unwrap(), id);
        assert_eq!(SessionId::parse(text.trim_end_matches('=')).unwrap(), id);
        assert_eq!(
            SessionId::parse("bm9uZQ").unwrap_err().status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            SessionId::parse("!!").unwrap_err().status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_segment_or_refused(text: String) {
            let _ = ServiceId::parse(&text);
            let _ = DeviceId::parse(&text);
            let _ = SessionId::parse(&text);
            let _ = MessageGuid::parse(&text);
            let _ = UsernameHash::parse(&text);
            let _ = LinkHandle::parse(&text);
        }
    }
}
