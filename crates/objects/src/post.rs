//! `POST /`: an upload in one request, as browsers send files: `multipart/form-data` with the fields of the form, and
//! the file last.
//!
//! | status | when |
//! |---|---|
//! | 204 | stored |
//! | 400 | a field is missing or malformed; the file is empty, larger than the policy allows, or breaks off |
//! | 403 | the signature does not fit, the policy has expired, or a field does not fulfil it |
//! | 415 | not a form |

use std::collections::BTreeMap;

use api::ports::objects::ObjectKey;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG};
use multer::{Constraints, Field, Multipart, SizeLimit};
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt as _;

use crate::answer::Refused;
use crate::forms::path;
use crate::policy::{Admitted, PolicyRefused};
use crate::{Objects, PATIENCE, PIECE};

/// Bytes of a field that is not the file. The policy is the largest, with about a kilobyte.
const FIELD: u64 = 16 * 1024;
/// Fields before the file.
const FIELDS: usize = 32;

pub(crate) fn routes() -> Router<Objects> {
    Router::new().route("/", post(handler))
}

impl From<PolicyRefused> for Refused {
    fn from(refused: PolicyRefused) -> Self {
        match refused {
            PolicyRefused::Malformed => Self::bad("a field is missing or malformed"),
            PolicyRefused::Signature => {
                Self::new(StatusCode::FORBIDDEN, "the signature does not fit")
            }
            PolicyRefused::Expired => Self::new(StatusCode::FORBIDDEN, "the policy has expired"),
            PolicyRefused::Condition => {
                Self::new(StatusCode::FORBIDDEN, "a field does not fulfil the policy")
            }
        }
    }
}

fn broken(_: multer::Error) -> Refused {
    Refused::bad("the form is malformed or breaks off")
}

async fn handler(State(objects): State<Objects>, request: Request) -> Result<Response, Refused> {
    let boundary = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| multer::parse_boundary(value.to_str().ok()?).ok());
    let boundary = boundary.ok_or(Refused::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "multipart/form-data is expected",
    ))?;
    let limits = SizeLimit::new()
        .per_field(FIELD)
        .for_field("file", u64::MAX);
    let mut form = Multipart::with_constraints(
        request.into_body().into_data_stream(),
        boundary,
        Constraints::new().size_limit(limits),
    );
    let _place = objects.0.uploads.acquire().await.expect("nobody closes it");
    let mut fields = BTreeMap::new();
    while let Some(field) = patient(form.next_field()).await?.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            let admitted = objects.0.policies.check(&fields, objects.now())?;
            return store(&objects, &admitted, field).await;
        }
        if fields.len() == FIELDS {
            return Err(Refused::bad("there are too many fields"));
        }
        let text = patient(field.text()).await?.map_err(broken)?;
        fields.insert(name, text);
    }
    Err(Refused::bad("there is no file"))
}

async fn patient<T>(waiting: impl Future<Output = T>) -> Result<T, Refused> {
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .map_err(|_| Refused::new(StatusCode::REQUEST_TIMEOUT, "nothing came for too long"))
}

async fn store(
    objects: &Objects,
    admitted: &Admitted,
    mut file: Field<'_>,
) -> Result<Response, Refused> {
    let key: ObjectKey = admitted
        .key
        .parse()
        .map_err(|_| Refused::bad("the key is no object's"))?;
    let mut object = BufWriter::with_capacity(objects.store().clone(), path(&key), PIECE);
    let mut size = 0;
    let complete = loop {
        match patient(file.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                size += u64::try_from(bytes.len()).expect("a chunk is small");
                if size > *admitted.bytes.end() {
                    break Err(Refused::bad("the file is larger than the policy allows"));
                }
                object.put(bytes).await?;
            }
            Ok(Ok(None)) if admitted.bytes.contains(&size) => break Ok(()),
            Ok(Ok(None)) => break Err(Refused::bad("the file is smaller than the policy allows")),
            Ok(Err(error)) => break Err(broken(error)),
            Err(refused) => break Err(refused),
        }
    };
    if let Err(refused) = complete {
        // Of a file that is small nothing was sent to the store; then there is nothing to abort.
        let _ = object.abort().await;
        return Err(refused);
    }
    object.shutdown().await.map_err(|error| {
        Refused::from(object_store::Error::Generic {
            store: "object",
            source: error.into(),
        })
    })?;
    let tag = object_store::ObjectStoreExt::head(&**objects.store(), &path(&key))
        .await?
        .e_tag
        .unwrap_or_default();
    let tag = format!("\"{}\"", tag.trim_matches('"'));
    Ok((StatusCode::NO_CONTENT, [(ETAG, tag)]).into_response())
}
