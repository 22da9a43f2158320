//! The devices of an account.

use super::endpoint::{Endpoint, delete, get, put};
use super::shapes::DeviceLimit;
use crate::http::devices::link::{LinkRequest, LinkResponse};
use crate::http::devices::list::ListResponse;
use crate::http::devices::provisioning_code::ProvisioningCodeResponse;

const TAG: &str = "Devices";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/v1/devices", "listDevices")
            .says(TAG, "The account's devices")
            .answers::<ListResponse>(200, "All of them.")
            .shows(["devices"]),
        put("/v1/devices/link", "linkDevice")
            .says(TAG, "Become a device of the account that gave the token")
            .for_newcomers()
            .takes::<LinkRequest>()
            .answers::<LinkResponse>(200, "The new device.")
            .says_so(
                403,
                "There is no room (seed), or the token is bad (deployed).",
            )
            .says_so(409, "A capability that the other devices have is missing.")
            .answers::<DeviceLimit>(411, "There is no room (deployed).")
            .runs(["LinkDevice"])
            .shows(["devices", "accounts", "pre_keys"]),
        get("/v1/devices/provisioning/code", "getProvisioningCode")
            .says(TAG, "A token for linking a device")
            .answers::<ProvisioningCodeResponse>(200, "The token.")
            .answers::<DeviceLimit>(411, "There is no room for another device.")
            .shows(["devices"]),
        delete("/v1/devices/{deviceId}", "removeDevice")
            .says(TAG, "Remove a device")
            .segment("deviceId", "Its number: 2 to 127.")
            .says_so(204, "It is gone.")
            .says_so(403, "The primary device cannot be removed.")
            .runs(["RemoveDevice"])
            .shows(["devices", "accounts"]),
    ]
}
