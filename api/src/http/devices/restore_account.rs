//! `/v1/devices/restore_account/{token}`: an old device says how a new one shall restore the account (`PUT`), and the new one
//! waits for that (`GET ?timeout=`). Both know the token, and nobody says who they are. Kept for an hour, and not in the
//! log.
//!
//! | status | when |
//! |---|---|
//! | 200 | the choice |
//! | 204 | it was left; the time is up |
//! | 400 | a token of more than 64 characters; a timeout outside of 1 to 3600 seconds |
//! | 422 | rules broken |
//! | 429 | too often |

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use events::meeting::Place;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::path::Text;
use crate::http::extract::{ClientAddress, Json, Parameters, Segments};
use crate::http::long_poll::{Timeout, within};
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, non_empty};
use crate::limits::rates::Limit;
use crate::state::Api;

/// How long a choice is kept.
const MEMORY: Duration = Duration::from_hours(1);

/// The longest token.
const MAX_TOKEN: usize = 64;

/// The most bytes that go with a device transfer.
const MAX_BOOTSTRAP: usize = 4096;

/// The choice.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreChoice {
    /// How to restore.
    pub method: RestoreMethod,
    /// What the devices need to find each other; at most 4096 bytes.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub device_transfer_bootstrap: Option<Base64<Vec<u8>>>,
}

/// How to restore an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RestoreMethod {
    /// From a backup on the server.
    RemoteBackup,
    /// From a backup on the device.
    LocalBackup,
    /// From the old device.
    DeviceTransfer,
    /// Not at all.
    Decline,
}

fn place(token: &str) -> Result<Place, Problem> {
    if token.chars().count() <= MAX_TOKEN {
        Ok(Place::new("restore", token))
    } else {
        Err(Problem::bad_parameter(
            "token size must be between 0 and 64",
        ))
    }
}

pub(crate) async fn leave(
    State(api): State<Api>,
    address: ClientAddress,
    Segments((Text(token),)): Segments<(Text,)>,
    Json(choice): Json<RestoreChoice>,
) -> Result<StatusCode, Problem> {
    let place = place(&token)?;
    let mut violations = Violations::default();
    let bootstrap = choice.device_transfer_bootstrap.as_ref();
    let fits = bootstrap.is_none_or(|bootstrap| bootstrap.0.len() <= MAX_BOOTSTRAP);
    violations.check(
        fits,
        "deviceTransferBootstrap size must be between 0 and 4096",
    );
    violations.refuse()?;
    api.limits
        .take(Limit::RecordDeviceTransferRequest, &address.bucket())
        .await?;
    let json = serde_json::to_vec(&choice).expect("a choice is plain data");
    let left = api.meetings.leave(place, json.into(), MEMORY).await;
    left.map_err(|error| Problem::unavailable(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn take(
    State(api): State<Api>,
    address: ClientAddress,
    Segments((Text(token),)): Segments<(Text,)>,
    Parameters(Timeout { timeout }): Parameters<Timeout>,
) -> Result<Response, Problem> {
    let place = place(&token)?;
    api.limits
        .take(Limit::WaitForDeviceTransferRequest, &address.bucket())
        .await?;
    let finding = api.meetings.find(place);
    let Some(found) = within(&api, timeout, finding).await else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let choice: RestoreChoice =
        serde_json::from_slice(&found).map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(choice).into_response())
}
