//! Resumable uploads: the tus protocol, version 1.0, with its extensions `creation`, `creation-with-upload`, `checksum`,
//! `expiration` and `termination`.
//!
//! | request | success | refusals |
//! |---|---|---|
//! | `POST /upload/<folder>` | 201, `Location`, `Upload-Offset` | 400 headers; 403 token; 409 the object is there; 413 more than the form allows |
//! | `HEAD` of the location | 200, `Upload-Offset`, `Upload-Length` | 403; 404 never begun; 410 expired |
//! | `PATCH` of the location | 204, `Upload-Offset` | 400; 403; 404; 409 another offset; 410; 413; 415 media type; 423 somebody else writes; 460 checksum |
//! | `DELETE` of the location | 204 | 403; 404; 423 |
//! | `OPTIONS` | 204, what is spoken | |
//!
//! All but `OPTIONS` are 412 for another version. The token of the form comes in `Authorization: Bearer`, or in the query
//! of the location.

use api::ports::objects::ObjectKey;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{options, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use events::Timestamp;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::Objects;
use crate::answer::Refused;
use crate::staging::{Begun, Brought, Checksum, Hasher, Standing, Turn};
use crate::token::Grant;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue =
    HeaderValue::from_static("creation,creation-with-upload,checksum,expiration,termination");
const OCTETS: &str = "application/offset+octet-stream";
const MISMATCH: u16 = 460;

pub(crate) fn routes() -> Router<Objects> {
    Router::new()
        .route("/upload/{folder}", post(create).options(capabilities))
        .route(
            "/upload/{folder}/{*name}",
            options(capabilities)
                .head(standing)
                .patch(go_on)
                .delete(terminate),
        )
}

/// The query of a location.
#[derive(Default, Deserialize)]
struct Signed {
    #[serde(default)]
    token: Option<String>,
}

async fn capabilities() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert("tus-resumable", VERSION);
    headers.insert("tus-version", VERSION);
    headers.insert("tus-extension", EXTENSIONS);
    headers.insert(
        "tus-checksum-algorithm",
        HeaderValue::from_static("sha1,sha256"),
    );
    response
}

/// Every answer names the version; a refusal of the version names those that are spoken.
fn spoken(answer: Result<Response, Refused>) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert("tus-resumable", VERSION);
    headers.insert("tus-version", VERSION);
    response
}

fn speaks(headers: &HeaderMap) -> Result<(), Refused> {
    if headers.get("tus-resumable") == Some(&VERSION) {
        return Ok(());
    }
    Err(Refused::new(
        StatusCode::PRECONDITION_FAILED,
        "Tus-Resumable must be 1.0.0",
    ))
}

/// The token of a request, and what it grants.
fn granted(
    objects: &Objects,
    headers: &HeaderMap,
    query: &Signed,
) -> Result<(Grant, String), Refused> {
    let header = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let token = header.or(query.token.as_deref());
    let token = token.ok_or_else(Refused::forbidden)?;
    let grant = Grant::verify(token, &objects.0.key, objects.now());
    let grant = grant.ok_or_else(Refused::forbidden)?;
    Ok((grant, token.to_owned()))
}

/// The upload of a location, if the request may touch it.
fn located(
    objects: &Objects,
    place: &(String, String),
    headers: &HeaderMap,
    query: &Signed,
) -> Result<Grant, Refused> {
    speaks(headers)?;
    let (grant, _) = granted(objects, headers, query)?;
    let key: ObjectKey = format!("{}/{}", place.0, place.1)
        .parse()
        .map_err(|_| Refused::not_found())?;
    if grant.key == key {
        Ok(grant)
    } else {
        Err(Refused::forbidden())
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn brings_bytes(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == OCTETS)
}

/// `Upload-Checksum: <algorithm> <base64>`.
fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refused> {
    let Some(value) = headers.get("upload-checksum") else {
        return Ok(None);
    };
    let malformed = || Refused::bad("Upload-Checksum must be sha1 or sha256, and its base64");
    let text = value.to_str().map_err(|_| malformed())?;
    let (algorithm, expected) = text.split_once(' ').ok_or_else(malformed)?;
    let hasher = match algorithm {
        "sha1" => Hasher::Sha1(sha1::Digest::new()),
        "sha256" => Hasher::Sha256(sha2::Digest::new()),
        _ => return Err(malformed()),
    };
    let expected = BASE64.decode(expected.trim()).map_err(|_| malformed())?;
    Ok(Some(Checksum { hasher, expected }))
}

fn number_header(response: &mut Response, name: &'static str, value: u64) {
    response.headers_mut().insert(name, value.into());
}

/// `Upload-Expires`, in the form of HTTP dates.
fn expires(response: &mut Response, until: Timestamp) {
    let date = i64::try_from(until.epoch_millis())
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis);
    let date = date.map(|date| date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(value) = date.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert("upload-expires", value);
    }
}

async fn create(
    State(objects): State<Objects>,
    Path(folder): Path<String>,
    Query(query): Query<Signed>,
    request: Request,
) -> Response {
    spoken(begin(objects, folder, query, request).await)
}

async fn begin(
    objects: Objects,
    folder: String,
    query: Signed,
    request: Request,
) -> Result<Response, Refused> {
    let headers = request.headers();
    speaks(headers)?;
    let (grant, token) = granted(&objects, headers, &query)?;
    if grant.key.kind().folder() != folder {
        return Err(Refused::forbidden());
    }
    let length = number(headers, "upload-length")
        .filter(|length| *length > 0)
        .ok_or(Refused::bad("Upload-Length must be a number of bytes"))?;
    if length > grant.max_bytes {
        return Err(Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the form allows fewer bytes",
        ));
    }
    let checksum = checksum(headers)?;
    let with_upload = brings_bytes(headers);
    let turn = objects.take_turn(&grant.key)?;
    if matches!(
        objects.standing(&grant.key).await?,
        Standing::Complete { .. }
    ) {
        return Err(Refused::new(
            StatusCode::CONFLICT,
            "the object is there already",
        ));
    }
    let begun = Begun {
        length,
        until: grant.until,
    };
    objects.begin(&turn, &begun).await?;
    let location = format!(
        "{}/upload/{}?token={token}",
        objects.0.public_url, grant.key
    );
    let mut response = StatusCode::CREATED.into_response();
    if with_upload {
        let key = grant.key;
        let body = request.into_body();
        let came = bring(objects, turn, key, (0, length), checksum, body).await?;
        number_header(&mut response, "upload-offset", came);
    } else {
        number_header(&mut response, "upload-offset", 0);
    }
    let location = HeaderValue::from_str(&location).map_err(|_| Refused::bad("not an address"))?;
    response.headers_mut().insert(LOCATION, location);
    expires(&mut response, begun.until);
    Ok(response)
}

async fn standing(
    State(objects): State<Objects>,
    Path(place): Path<(String, String)>,
    Query(query): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let grant = located(&objects, &place, &headers, &query)?;
        let mut standing = objects.standing(&grant.key).await?;
        if let Standing::At { offset, length, .. } = standing
            && offset == length
        {
            // Its last byte came, and then something broke off.
            let turn = objects.take_turn(&grant.key)?;
            objects.complete(&turn, &grant.key).await?;
            standing = Standing::Complete { length };
        }
        let mut response = StatusCode::OK.into_response();
        let (offset, length) = match standing {
            Standing::At {
                offset,
                length,
                until,
            } => {
                expires(&mut response, until);
                (offset, length)
            }
            Standing::Complete { length } => (length, length),
            Standing::Unknown => return Err(Refused::not_found()),
            Standing::Expired => return Err(expired()),
        };
        number_header(&mut response, "upload-offset", offset);
        number_header(&mut response, "upload-length", length);
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    spoken(answer.await)
}

const fn expired() -> Refused {
    Refused::new(StatusCode::GONE, "the upload has expired")
}

async fn go_on(
    State(objects): State<Objects>,
    Path(place): Path<(String, String)>,
    Query(query): Query<Signed>,
    request: Request,
) -> Response {
    let answer = async {
        let headers = request.headers();
        let grant = located(&objects, &place, headers, &query)?;
        if !brings_bytes(headers) {
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content must be application/offset+octet-stream",
            ));
        }
        let from = number(headers, "upload-offset")
            .ok_or(Refused::bad("Upload-Offset must be a number of bytes"))?;
        let checksum = checksum(headers)?;
        let turn = objects.take_turn(&grant.key)?;
        let (offset, length, until) = match objects.standing(&grant.key).await? {
            Standing::At {
                offset,
                length,
                until,
            } => (offset, length, Some(until)),
            Standing::Complete { length } => (length, length, None),
            Standing::Unknown => return Err(Refused::not_found()),
            Standing::Expired => return Err(expired()),
        };
        if from != offset {
            return Err(Refused::new(
                StatusCode::CONFLICT,
                "the upload stands at another offset",
            ));
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let came = match until {
            None => offset,
            Some(until) => {
                expires(&mut response, until);
                let body = request.into_body();
                let key = grant.key;
                bring(objects.clone(), turn, key, (offset, length), checksum, body).await?
            }
        };
        number_header(&mut response, "upload-offset", came);
        Ok(response)
    };
    spoken(answer.await)
}

/// Takes the bytes, and goes on doing so when the connection breaks off: what came is worth keeping.
async fn bring(
    objects: Objects,
    turn: Turn,
    key: ObjectKey,
    (offset, length): (u64, u64),
    checksum: Option<Checksum>,
    body: Body,
) -> Result<u64, Refused> {
    let tracker = objects.0.tracker.clone();
    let uploads = objects.0.uploads.clone();
    let bringing = async move {
        let _place = uploads.acquire().await.expect("nobody closes it");
        let bytes = body.into_data_stream();
        match objects
            .bring(&turn, offset, length, checksum, bytes)
            .await?
        {
            Brought::Kept { offset } => {
                if offset == length {
                    objects.complete(&turn, &key).await?;
                }
                Ok(offset)
            }
            Brought::TooMany => Err(Refused::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "there is more than Upload-Length said",
            )),
            Brought::Mismatch => Err(Refused::new(
                StatusCode::from_u16(MISMATCH).expect("460 is a status"),
                "the bytes are not those of the checksum",
            )),
        }
    };
    tracker.spawn(bringing).await.unwrap_or_else(|_| {
        Err(Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server stops",
        ))
    })
}

async fn terminate(
    State(objects): State<Objects>,
    Path(place): Path<(String, String)>,
    Query(query): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let grant = located(&objects, &place, &headers, &query)?;
        let turn = objects.take_turn(&grant.key)?;
        match objects.standing(&grant.key).await? {
            Standing::At { .. } | Standing::Expired => {
                objects.abandon(&turn).await?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            // What is complete is not the uploader's any more.
            Standing::Unknown | Standing::Complete { .. } => Err(Refused::not_found()),
        }
    };
    spoken(answer.await)
}
