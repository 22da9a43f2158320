//! `PUT /v1/accounts/name?deviceId=`: another name for a device.
//!
//! | status | when |
//! |---|---|
//! | 204 | it has the name |
//! | 400 | the parameter is no device's number |
//! | 401 | no or wrong credentials |
//! | 403 | a linked device that would name another |
//! | 404 | no such device |
//! | 422 | not 1 to 225 bytes |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::rename_device::{RenameDevice, RenameDeviceRefused};
use events::DeviceId;
use events::values::EncryptedDeviceName;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, non_empty};
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = DeviceName)]
pub struct NameRequest {
    /// The encrypted name.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub device_name: Option<Base64<Vec<u8>>>,
}

/// The query.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameParameters {
    /// Which device; the calling one if it is not said.
    #[serde(default)]
    pub device_id: Option<DeviceId>,
}

impl From<RenameDeviceRefused> for Problem {
    fn from(refused: RenameDeviceRefused) -> Self {
        match refused {
            RenameDeviceRefused::NoSuchDevice => Self::not_found(),
            RenameDeviceRefused::NotPrimary => Self::of(StatusCode::FORBIDDEN),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Parameters(NameParameters { device_id }): Parameters<NameParameters>,
    Json(request): Json<NameRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut violations = Violations::default();
    let name = request.device_name.map(|name| name.0).unwrap_or_default();
    let name = EncryptedDeviceName::try_from(name);
    let name = violations.parsed(name, "deviceName size must be between 1 and 225");
    violations.refuse()?;
    let command = RenameDevice {
        aci: caller.address.aci,
        caller: caller.address.device,
        target: device_id.unwrap_or(caller.address.device),
        name: name.ok_or_else(Problem::unmappable)?,
    };
    let context = asked.by(caller.actor());
    let ((), position) = api.perform(&command, &context, &[Model::Devices]).await?;
    Ok((StatusCode::NO_CONTENT, position))
}
