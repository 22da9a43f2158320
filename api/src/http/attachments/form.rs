//! `GET /v4/attachments/form/upload?uploadLength=`: where to upload what will be sent with a message.
//!
//! | status | when |
//! |---|---|
//! | 200 | the form |
//! | 400 | a length of 0 or less, or none at all |
//! | 401 | no credentials |
//! | 413 | more than an attachment may have |
//! | 429 | too many forms, or forms for too many bytes |
//! | 503 | the object store does not answer |

use axum::extract::State;
use serde::Deserialize;

use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::ports::objects::{ObjectKey, ObjectsUnavailable, Upload, UploadForm};
use crate::state::Api;

/// The query.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormParameters {
    /// How many bytes it will be; as many as are allowed, if it is not said.
    #[serde(default)]
    pub upload_length: Option<i64>,
}

impl From<ObjectsUnavailable> for Problem {
    fn from(error: ObjectsUnavailable) -> Self {
        Self::unavailable(&error)
    }
}

/// The bytes that a form is asked for.
fn length(parameters: FormParameters, most: u64) -> Result<u64, Problem> {
    let Some(length) = parameters.upload_length else {
        return Ok(most);
    };
    let length = u64::try_from(length).ok().filter(|length| *length > 0);
    let length = length
        .ok_or_else(|| Problem::bad_parameter("query param uploadLength must be positive"))?;
    if length > most {
        return Err(Problem::of(http::StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(length)
}

/// Counts the form, and its bytes if they were said. What is refused for its bytes is not counted as a form.
pub(crate) async fn count(api: &Api, account: &str, bytes: Option<u64>) -> Result<(), Problem> {
    let limits = &api.limits;
    limits.take(Limit::AttachmentCreate, account).await?;
    let bytes = limits.take_many(Limit::AttachmentCreateBytes, account, bytes.unwrap_or(0));
    if let Err(limited) = bytes.await {
        limits.put_back(Limit::AttachmentCreate, account, 1).await;
        return Err(limited.into());
    }
    Ok(())
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(parameters): Parameters<FormParameters>,
) -> Result<Json<UploadForm>, Problem> {
    let length = length(parameters, api.config.attachment_bytes)?;
    let said = parameters.upload_length.map(|_| length);
    count(&api, &caller.address.aci.to_string(), said).await?;
    let upload = Upload {
        key: ObjectKey::attachment(api.entropy.bytes()),
        max_bytes: length,
    };
    Ok(Json(api.uploads.form(&upload, api.clock.now()).await?))
}
