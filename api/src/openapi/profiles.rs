//! What people show of themselves, and what they can show to others.

use super::endpoint::{Endpoint, get, post, put};
use crate::http::calling::create_link::CreateLinkRequest;
use crate::http::calling::relays::RelaysResponse;
use crate::http::certificate::delivery::DeliveryCertificate;
use crate::http::certificate::group::{DailyCredential, GroupCredentials};
use crate::http::challenge::answer::AnswerRequest;
use crate::http::config::fetch_old::OldConfigResponse;
use crate::http::external::auth::ServiceCredentials;
use crate::http::external::check::{CheckRequest, CheckResponse};
use crate::http::profile::identity_check::{IdentityCheckRequest, IdentityCheckResponse};
use crate::http::profile::set::SetProfileRequest;
use crate::http::profile::wire::{CredentialProfile, VersionedProfile};
use crate::http::stickers::form::PackFormResponse;
use crate::ports::objects::PostForm;

const PROFILES: &str = "Profiles";
const CREDENTIALS: &str = "Credentials";
const SERVER: &str = "Server";
const ACCESS_KEY: (&str, &str) = (
    "Unidentified-Access-Key",
    "Base64 of 16 bytes, in place of credentials.",
);

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = profiles();
    endpoints.extend(certificates());
    endpoints.extend(services());
    endpoints
}

fn profiles() -> Vec<Endpoint> {
    vec![
        put("/v1/profile", "setProfile")
            .says(PROFILES, "Write a version of the profile")
            .takes::<SetProfileRequest>()
            .answers_maybe::<PostForm>(
                200,
                "Nothing; or a `PostForm`, if a new picture is to be uploaded.",
            )
            .says_so(403, "No payment addresses for numbers from there.")
            .says_so(412, "All devices speak the second form of profiles.")
            .runs(["SetProfile"])
            .shows(["profiles"]),
        get("/v1/profile/{identifier}", "getProfile")
            .says(PROFILES, "What an account shows")
            .for_anybody()
            .segment("identifier", "A service id.")
            .header(ACCESS_KEY.0, ACCESS_KEY.1)
            .header("Group-Send-Token", "In place of credentials.")
            .answers::<CredentialProfile>(200, "The profile.")
            .shows(["accounts", "devices", "profiles"]),
        get("/v1/profile/{identifier}/{version}", "getVersionedProfile")
            .says(PROFILES, "One version of a profile")
            .for_anybody()
            .segment("identifier", "The account.")
            .segment("version", "64 hex digits.")
            .header(ACCESS_KEY.0, ACCESS_KEY.1)
            .answers::<VersionedProfile>(200, "The profile.")
            .shows(["accounts", "devices", "profiles"]),
        get(
            "/v1/profile/{identifier}/{version}/{request}",
            "getProfileCredential",
        )
        .says(PROFILES, "One version of a profile, and a credential")
        .for_anybody()
        .segment("identifier", "The account.")
        .segment("version", "64 hex digits.")
        .segment("request", "The request for the credential, in hex.")
        .query("credentialType", "`expiringProfileKey`.")
        .header(ACCESS_KEY.0, ACCESS_KEY.1)
        .answers::<CredentialProfile>(200, "The profile.")
        .shows(["accounts", "devices", "profiles"]),
        post("/v1/profile/identity_check/batch", "checkIdentities")
            .says(PROFILES, "Which identities have another key")
            .for_anybody()
            .takes::<IdentityCheckRequest>()
            .answers::<IdentityCheckResponse>(200, "Those that have.")
            .shows(["accounts"]),
        get(
            "/v1/sticker/pack/form/{packSize}",
            "getStickerPackUploadForm",
        )
        .says("Stickers", "Forms to upload a pack of stickers with")
        .segment("packSize", "How many stickers: 1 to 201.")
        .answers::<PackFormResponse>(200, "The forms."),
    ]
}

fn certificates() -> Vec<Endpoint> {
    vec![
        get("/v1/certificate/delivery", "getDeliveryCertificate")
            .says("Certificates", "The calling device's sender certificate")
            .query("includeE164", "Whether the number is included.")
            .answers::<DeliveryCertificate>(200, "The certificate.")
            .shows(["accounts"]),
        get("/v1/certificate/auth/group", "getGroupCredentials")
            .says("Certificates", "Credentials for groups and call links")
            .query("redemptionStartSeconds", "The first day.")
            .query("redemptionEndSeconds", "The last day.")
            .answers::<GroupCredentials>(200, "One for each day.")
            .shows(["accounts"]),
        post("/v1/call-link/create-auth", "getCallLinkCredential")
            .says("Calling", "A credential to create a call link")
            .takes::<CreateLinkRequest>()
            .answers::<DailyCredential>(200, "The credential."),
        get("/v2/calling/relays", "getCallingRelays")
            .says("Calling", "Where calls are relayed")
            .answers::<RelaysResponse>(200, "The relays, and credentials there."),
        put("/v1/challenge", "answerChallenge")
            .says("Challenges", "Answer a challenge")
            .takes::<AnswerRequest>()
            .says_so(200, "The answer is taken.")
            .says_so(428, "The captcha is not accepted.")
            .runs(["MeetChallenge"]),
        post("/v1/challenge/push", "pushChallenge")
            .says(
                "Challenges",
                "Have a challenge pushed to the primary device",
            )
            .says_so(200, "It is on its way.")
            .says_so(404, "The primary device cannot be reached by push.")
            .shows(["devices"]),
    ]
}

fn services() -> Vec<Endpoint> {
    let credentials = |path, id, service| {
        get(path, id)
            .says(CREDENTIALS, service)
            .answers::<ServiceCredentials>(200, "The credentials.")
    };
    let check = |path, id| {
        post(path, id)
            .says(CREDENTIALS, "Which credentials for value recovery are good")
            .for_anybody()
            .takes::<CheckRequest>()
            .answers::<CheckResponse>(200, "The verdicts.")
            .shows(["accounts"])
    };
    vec![
        credentials("/v2/svr/auth", "getSvrCredentials", "For value recovery"),
        credentials(
            "/v2/backup/auth",
            "getBackupCredentials",
            "For value recovery",
        ),
        credentials(
            "/v1/storage/auth",
            "getStorageCredentials",
            "For encrypted account data",
        ),
        credentials(
            "/v2/directory/auth",
            "getDirectoryCredentials",
            "For contact discovery",
        ),
        credentials(
            "/v1/payments/auth",
            "getPaymentsCredentials",
            "For payments",
        ),
        check("/v2/svr/auth/check", "checkSvrCredentials"),
        check("/v2/backup/auth/check", "checkBackupCredentials"),
        get("/v1/config", "getOldRemoteConfig")
            .says(SERVER, "Settings for old clients")
            .answers::<OldConfigResponse>(200, "The settings."),
    ]
}
