//! `GET` and `HEAD` of an object: whole or a range, with an entity tag.
//!
//! | status | when |
//! |---|---|
//! | 200, 206 | here it is, or the part that was asked for |
//! | 304 | the caller has it: `If-None-Match` |
//! | 307 | it is in the operator's bucket, there |
//! | 404 | there is none |
//! | 412 | it is not the one of `If-Match` |
//! | 416 | it ends before the range begins; `Content-Range` says where |

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStoreExt as _};

use crate::answer::Refused;
use crate::forms::path;
use crate::{LINK_LIFETIME, Objects};

pub(crate) fn routes() -> Router<Objects> {
    Router::new()
        .route("/attachments/{*name}", get(attachment))
        .route("/profiles/{*name}", get(avatar))
        .route("/stickers/{*name}", get(sticker))
        .route("/backups/{*name}", get(archive))
}

macro_rules! download {
    ($($handler:ident $folder:literal)*) => {$(
        async fn $handler(
            State(objects): State<Objects>,
            Path(name): Path<String>,
            method: Method,
            headers: HeaderMap,
        ) -> Result<Response, Refused> {
            download(&objects, &format!(concat!($folder, "/{}"), name), &method, &headers).await
        }
    )*};
}

download! {
    attachment "attachments"
    avatar "profiles"
    sticker "stickers"
    archive "backups"
}

async fn download(
    objects: &Objects,
    name: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let key = name.parse().map_err(|_| Refused::not_found())?;
    let path = path(&key);
    if let Some(direct) = objects.0.place.direct() {
        let url = direct
            .signer
            .signed_url(method.clone(), &path, LINK_LIFETIME)
            .await?;
        return Ok(Redirect::temporary(url.as_str()).into_response());
    }
    let meta = objects.store().head(&path).await?;
    let tag = entity_tag(&meta);
    if let Some(answer) = precondition(headers, &tag) {
        return Ok(answer);
    }
    let wanted = headers
        .get(RANGE)
        .filter(|_| headers.get(IF_RANGE).is_none_or(|known| *known == tag))
        .and_then(|value| parse_range(value.to_str().ok()?));
    let range = match wanted.map(|wanted| wanted.as_range(meta.size)) {
        None => None,
        Some(Ok(range)) if !range.is_empty() => Some(range),
        Some(_) => {
            let whole = format!("bytes */{}", meta.size);
            return Ok(
                (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, whole)]).into_response(),
            );
        }
    };
    let bytes = range.clone().unwrap_or(0..meta.size);
    let body = if method == Method::HEAD || bytes.is_empty() {
        Body::empty()
    } else {
        let options = GetOptions {
            range: Some(GetRange::Bounded(bytes.clone())),
            ..GetOptions::default()
        };
        let found: GetResult = objects.store().get_opts(&path, options).await?;
        Body::from_stream(found.into_stream())
    };
    let mut response = Response::new(body);
    let head = response.headers_mut();
    head.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    head.insert(CONTENT_LENGTH, (bytes.end - bytes.start).into());
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What a key names never changes.
    head.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    head.insert(ETAG, tag);
    if range.is_some() {
        let part = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, meta.size);
        let part = HeaderValue::from_str(&part).expect("numbers are a header");
        head.insert(CONTENT_RANGE, part);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn entity_tag(meta: &ObjectMeta) -> HeaderValue {
    let tag = meta.e_tag.as_deref().unwrap_or_default();
    let tag = format!("\"{}\"", tag.trim_matches('"'));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What the caller has makes the download unnecessary, or impossible.
fn precondition(headers: &HeaderMap, tag: &HeaderValue) -> Option<Response> {
    let names = |header| {
        let listed = headers.get(header)?.to_str().ok()?;
        let tag = tag.to_str().expect("it was made from text");
        let strong = |known: &str| known.trim().trim_start_matches("W/") == tag;
        Some(listed.trim() == "*" || listed.split(',').any(strong))
    };
    if names(IF_MATCH) == Some(false) {
        return Some(StatusCode::PRECONDITION_FAILED.into_response());
    }
    (names(IF_NONE_MATCH) == Some(true))
        .then(|| (StatusCode::NOT_MODIFIED, [(ETAG, tag.clone())]).into_response())
}

/// One range of bytes. Several, and what is not a range, are answered with the whole object, as the standard allows.
fn parse_range(text: &str) -> Option<GetRange> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    match (first, last) {
        ("", last) => last.parse().ok().map(GetRange::Suffix),
        (first, "") => first.parse().ok().map(GetRange::Offset),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then(|| GetRange::Bounded(first..last.saturating_add(1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_have_three_forms() {
        assert_eq!(parse_range("bytes=0-9"), Some(GetRange::Bounded(0..10)));
        assert_eq!(parse_range("bytes=5-"), Some(GetRange::Offset(5)));
        assert_eq!(parse_range("bytes=-5"), Some(GetRange::Suffix(5)));
        for other in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=9-0",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2x",
        ] {
            assert_eq!(parse_range(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_range_or_none(text: String, first: u64, last: u64, size: u64) {
            let _ = parse_range(&text);
            let range = parse_range(&format!("bytes={first}-{last}"));
            prop_assert_eq!(range.is_some(), first <= last);
            if let Some(Ok(range)) = range.map(|range| range.as_range(size)) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
