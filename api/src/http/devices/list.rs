//! `GET /v1/devices`: the account's devices.

use axum::extract::State;
use events::values::{EncryptedDeviceName, SealedCreationTime};
use events::{DeviceId, RegistrationId, Timestamp};
use projections::devices::Device;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::http::wire::{Base64, Padded};
use crate::state::Api;

/// The answer, by ascending number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DeviceList)]
pub struct ListResponse {
    /// The devices.
    pub devices: Vec<DeviceResponse>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Device)]
pub struct DeviceResponse {
    /// Its number.
    #[schema(value_type = u8)]
    pub id: DeviceId,
    /// Its encrypted name.
    #[schema(value_type = Option<String>)]
    pub name: Option<Base64<EncryptedDeviceName, Padded>>,
    /// The day on which it was last heard of: midnight, in milliseconds.
    #[schema(value_type = i64)]
    pub last_seen: Timestamp,
    /// Its registration id for the account's identity.
    #[schema(value_type = u16)]
    pub registration_id: RegistrationId,
    /// When it joined, in milliseconds (seed dialect).
    #[schema(value_type = i64)]
    pub created: Timestamp,
    /// When it joined, sealed for the account's identity key (HPKE, 57 bytes); `null` if the account had none then.
    #[schema(value_type = Option<String>)]
    pub created_at_ciphertext: Option<Base64<SealedCreationTime>>,
}

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The midnight (UTC) before it: clients show days, and nobody may learn more.
pub(crate) fn midnight(at: Timestamp) -> Timestamp {
    Timestamp::from_epoch_millis(at.epoch_millis() / DAY * DAY)
        .expect("an earlier time is in range, too")
}

impl From<Device> for DeviceResponse {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            name: device.name.map(Base64::new),
            last_seen: midnight(device.last_seen),
            registration_id: device.registration_id,
            created: device.linked_at,
            created_at_ciphertext: device.created_at.map(Base64::new),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Json<ListResponse>, Problem> {
    let devices = api
        .queries
        .devices()
        .of(caller.address.aci)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(ListResponse {
        devices: devices.into_iter().map(Into::into).collect(),
    }))
}
