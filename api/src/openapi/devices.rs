//! The devices of an account.

use super::endpoint::{Endpoint, delete, get, put};
use super::shapes::DeviceLimit;
use crate::http::devices::capabilities::CapabilitiesRequest;
use crate::http::devices::link::{LinkRequest, LinkResponse};
use crate::http::devices::list::{DeviceResponse, ListResponse};
use crate::http::devices::provisioning_code::ProvisioningCodeResponse;
use crate::http::devices::restore_account::RestoreChoice;
use crate::http::devices::transfer_archive::{ArchiveJson, OfferRequest};
use crate::http::provisioning::send::SendRequest;

const TAG: &str = "Devices";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut all = roster();
    all.extend(meetings());
    all
}

fn roster() -> Vec<Endpoint> {
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
        put("/v1/devices/capabilities", "setCapabilities")
            .says(TAG, "Say what the device can do")
            .takes::<CapabilitiesRequest>()
            .says_so(204, "It can do this, and nothing else.")
            .runs(["ChangeCapabilities"])
            .shows(["devices", "accounts"]),
    ]
}

/// What devices pass to one another while one of them joins.
fn meetings() -> Vec<Endpoint> {
    const PATIENCE: &str = "How many seconds to wait: 1 to 3600; 30 if it is not said.";
    vec![
        put("/v1/provisioning/{address}", "sendProvisioningMessage")
            .says(TAG, "Send a message to a new device")
            .segment("address", "Where it waits.")
            .takes::<SendRequest>()
            .says_so(204, "It is on its way.")
            .says_so(404, "Nobody waits there."),
        get(
            "/v1/devices/wait_for_linked_device/{tokenIdentifier}",
            "waitForLinkedDevice",
        )
        .says(TAG, "Wait for the device that uses a linking token")
        .segment("tokenIdentifier", "The token's identifier.")
        .query("timeout", PATIENCE)
        .answers::<DeviceResponse>(200, "It did, and what came before is fetched.")
        .says_so(204, "The time is up.")
        .shows(["devices", "inbox"]),
        put("/v1/devices/transfer_archive", "offerTransferArchive")
            .says(TAG, "Say where a new device finds the account's history")
            .takes::<OfferRequest>()
            .says_so(204, "It can ask for it now.")
            .runs(["OfferArchive"])
            .shows(["devices"]),
        get("/v1/devices/transfer_archive", "takeTransferArchive")
            .says(TAG, "Wait for the account's history")
            .query("timeout", PATIENCE)
            .answers::<ArchiveJson>(200, "Where it is, or why there is none.")
            .says_so(204, "The time is up.")
            .shows(["devices"]),
        put("/v1/devices/restore_account/{token}", "chooseRestoreMethod")
            .says(TAG, "Say how a new device shall restore the account")
            .for_anybody()
            .segment("token", "What only the two devices know.")
            .takes::<RestoreChoice>()
            .says_so(204, "It can ask for it now."),
        get(
            "/v1/devices/restore_account/{token}",
            "waitForRestoreMethod",
        )
        .says(TAG, "Wait for how to restore the account")
        .for_anybody()
        .segment("token", "What only the two devices know.")
        .query("timeout", PATIENCE)
        .answers::<RestoreChoice>(200, "How.")
        .says_so(204, "The time is up."),
    ]
}
