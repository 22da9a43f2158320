//! Bodies of refusals that clients act on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `{"code", "message"}`: the body of most refusals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// The status.
    pub code: u16,
    /// What it is about, for people.
    pub message: String,
}

/// `{"errors"}`: a request that breaks rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokenRules {
    /// `<property path> <rule>` each.
    pub errors: Vec<String>,
}

/// A message for other devices than the account has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MismatchedDevices {
    /// Devices that it was not for.
    pub missing_devices: Vec<u8>,
    /// Devices that there are not.
    pub extra_devices: Vec<u8>,
}

/// A message for devices that have been installed anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaleDevices {
    /// Which.
    pub stale_devices: Vec<u8>,
}

/// How many devices an account has, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceLimit {
    /// So many it has.
    pub current: usize,
    /// So many it may have.
    pub max: usize,
}
