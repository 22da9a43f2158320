//! `PUT /v1/archives/backupid`: by which requests the account gets credentials of its backups.
//!
//! | status | when |
//! |---|---|
//! | 204 | by these |
//! | 400 | by none, or none that can be met |
//! | 401 | no or wrong credentials |
//! | 403 | not the primary device |
//! | 429 | too often |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::backup::set_requests::{SetBackupRequests, SetBackupRequestsRefused};
use crypto::zk::backup::Request;
use events::account::BackupRequests;
use events::values::backup::BackupRequest;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::wire::{Base64, non_empty};
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body: one of the two at least. What is missing stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = BackupRequests)]
pub struct RequestsRequest {
    /// For the backup of messages: 97 bytes.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub messages_backup_auth_credential_request: Option<Base64<Vec<u8>>>,
    /// For the backup of media: 97 bytes.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub media_backup_auth_credential_request: Option<Base64<Vec<u8>>>,
}

fn request(bytes: Option<Base64<Vec<u8>>>) -> Result<Option<BackupRequest>, Problem> {
    let Some(bytes) = bytes.map(|bytes| bytes.0) else {
        return Ok(None);
    };
    let malformed = || Problem::bad_request("a request is malformed");
    Request::parse(&bytes).map_err(|_| malformed())?;
    BackupRequest::try_from(bytes)
        .map(Some)
        .map_err(|_| malformed())
}

impl RequestsRequest {
    fn requests(self) -> Result<BackupRequests, Problem> {
        let requests = BackupRequests {
            messages: request(self.messages_backup_auth_credential_request)?,
            media: request(self.media_backup_auth_credential_request)?,
        };
        if requests == BackupRequests::default() {
            return Err(Problem::bad_request("there is no request"));
        }
        Ok(requests)
    }
}

impl From<SetBackupRequestsRefused> for Problem {
    fn from(refused: SetBackupRequestsRefused) -> Self {
        match refused {
            SetBackupRequestsRefused::NoSuchDevice => Self::credentials_required(),
            SetBackupRequestsRefused::NotPrimary => Self::of(StatusCode::FORBIDDEN),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<RequestsRequest>,
) -> Result<impl IntoResponse, Problem> {
    let requests = request.requests()?;
    let (aci, device) = (caller.address.aci, caller.address.device);
    if !device.is_primary() {
        return Err(SetBackupRequestsRefused::NotPrimary.into());
    }
    api.limits
        .take(Limit::SetBackupId, &aci.to_string())
        .await?;
    let command = SetBackupRequests {
        aci,
        device,
        requests,
    };
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[Model::Accounts]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}
