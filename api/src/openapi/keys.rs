//! Pre-keys.

use super::endpoint::{Endpoint, get, post, put};
use crate::http::keys::check::CheckRequest;
use crate::http::keys::count::CountResponse;
use crate::http::keys::set::SetRequest;
use crate::http::keys::take::TakeResponse;

const TAG: &str = "Keys";
const IDENTITY: (&str, &str) = (
    "identity",
    "`aci`, which is meant if nothing is said, or `pni`.",
);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/v2/keys", "getPreKeyCount")
            .says(TAG, "How many one-time pre-keys are left")
            .query(IDENTITY.0, IDENTITY.1)
            .answers::<CountResponse>(200, "The numbers.")
            .shows(["pre_keys"]),
        put("/v2/keys", "setKeys")
            .says(TAG, "Replace pre-keys")
            .query(IDENTITY.0, IDENTITY.1)
            .takes::<SetRequest>()
            .says_so(204, "They are replaced.")
            .says_so(409, "Another identity key is known already.")
            .runs(["SetKeys"])
            .shows(["pre_keys", "accounts"]),
        post("/v2/keys/check", "checkKeys")
            .says(TAG, "Compare the keys that are handed out again and again")
            .takes::<CheckRequest>()
            .says_so(200, "They are the same.")
            .says_so(409, "They are others, or missing.")
            .shows(["accounts", "pre_keys"]),
        get("/v2/keys/{identifier}/{deviceId}", "getDeviceKeys")
            .says(TAG, "Take the keys to begin a session with")
            .for_anybody()
            .segment(
                "identifier",
                "A service id; for callers with credentials also a number.",
            )
            .segment("deviceId", "A device's number, or `*` for all.")
            .header(
                "Unidentified-Access-Key",
                "Base64 of 16 bytes, in place of credentials.",
            )
            .header("Group-Send-Token", "In place of credentials.")
            .answers::<TakeResponse>(200, "The keys.")
            .says_so(422, "No device can have this number.")
            .runs(["TakePreKeys"])
            .shows(["accounts", "pre_keys"]),
    ]
}
