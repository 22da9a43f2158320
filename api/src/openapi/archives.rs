//! What an account needs to own backups.

use super::endpoint::{Endpoint, get, put};
use crate::http::archives::credentials::CredentialsResponse;
use crate::http::archives::limits::LimitsResponse;
use crate::http::archives::set_requests::RequestsRequest;

const TAG: &str = "Backups";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        put("/v1/archives/backupid", "setBackupRequests")
            .says(TAG, "Say by which requests to get credentials")
            .takes::<RequestsRequest>()
            .says_so(204, "By these.")
            .says_so(403, "The device is not the primary one.")
            .runs(["SetBackupRequests"])
            .shows(["accounts"]),
        get("/v1/archives/backupid/limits", "getBackupRequestLimits")
            .says(TAG, "Whether the requests may be changed now")
            .answers::<LimitsResponse>(200, "Whether, or when."),
        get("/v1/archives/auth", "getBackupCredentials")
            .says(TAG, "Credentials of the account's backups")
            .query("redemptionStartSeconds", "The first day.")
            .query("redemptionEndSeconds", "The last day.")
            .answers::<CredentialsResponse>(200, "One for each day and backup.")
            .says_so(404, "There is no request.")
            .shows(["accounts"]),
    ]
}
