//! Who somebody is, and how they are found.

use super::endpoint::{AnyObject, Endpoint, delete, get, head, put};
use super::shapes::{MismatchedDevices, StaleDevices};
use crate::http::accounts::data_report::ReportResponse;
use crate::http::accounts::discoverability::DiscoverabilityRequest;
use crate::http::accounts::identity::IdentityResponse;
use crate::http::accounts::name::NameRequest;
use crate::http::accounts::number::NumberRequest;
use crate::http::accounts::registration_lock::LockRequest;
use crate::http::registration::activation::{ApnToken, GcmToken};
use crate::http::registration::attributes::AttributesRequest;
use crate::http::usernames::confirm::{ConfirmRequest, ConfirmResponse};
use crate::http::usernames::look_up::LookUpResponse;
use crate::http::usernames::reserve::{ReserveRequest, ReserveResponse};
use crate::http::usernames::set_link::{LinkRequest, LinkResponse};

const TAG: &str = "Accounts";
const HASH: (&str, &str) = ("usernameHash", "The hash of the username: base64 for URLs.");

pub(super) fn endpoints() -> Vec<Endpoint> {
    [own(), push(), number(), usernames()].concat()
}

fn own() -> Vec<Endpoint> {
    vec![
        get("/v1/accounts/whoami", "getAccountIdentity")
            .says(TAG, "Who the caller is")
            .answers::<IdentityResponse>(200, "The account.")
            .shows(["accounts"]),
        put("/v1/accounts/attributes", "setAccountAttributes")
            .says(TAG, "Say what the device and its account are like")
            .takes::<AttributesRequest>()
            .says_so(204, "They are set.")
            .runs(["ChangeAttributes"])
            .shows(["accounts", "devices"]),
        put("/v1/accounts/name", "setDeviceName")
            .says(TAG, "Name a device")
            .query("deviceId", "Which; the calling one if it is not said.")
            .takes::<NameRequest>()
            .says_so(204, "It has the name.")
            .says_so(403, "A linked device names itself only.")
            .says_so(404, "There is no such device.")
            .runs(["RenameDevice"])
            .shows(["devices"]),
        put("/v1/accounts/registration_lock", "setRegistrationLock")
            .says(TAG, "Say what whoever registers the number again must know")
            .takes::<LockRequest>()
            .says_so(204, "It is set.")
            .runs(["ChangeProtection"]),
        delete("/v1/accounts/registration_lock", "deleteRegistrationLock")
            .says(TAG, "Take the registration lock away")
            .says_so(204, "There is none.")
            .runs(["ChangeProtection"]),
        put(
            "/v2/accounts/phone_number_discoverability",
            "setDiscoverability",
        )
        .says(TAG, "Say whether the account can be found by its number")
        .takes::<DiscoverabilityRequest>()
        .says_so(204, "It is so.")
        .runs(["ChangeAccess"])
        .shows(["accounts"]),
        get("/v2/accounts/data_report", "getDataReport")
            .says(TAG, "Everything that the server knows of the account")
            .answers::<ReportResponse>(200, "The report.")
            .shows(["accounts", "devices"]),
        delete("/v1/accounts/me", "deleteAccount")
            .says(TAG, "Delete the account")
            .says_so(204, "It is gone.")
            .runs(["DeleteAccount"])
            .shows(["accounts", "devices"]),
        head("/v1/accounts/account/{account}", "accountExists")
            .says(TAG, "Whether there is such an account")
            .for_nobody()
            .segment(
                "account",
                "The account's id, or `PNI:` and that of its number.",
            )
            .says_so(200, "There is.")
            .shows(["accounts"]),
    ]
}

fn push() -> Vec<Endpoint> {
    let row = |endpoint: Endpoint| {
        endpoint
            .says_so(204, "It is so.")
            .runs(["SetPushToken"])
            .shows(["devices"])
    };
    vec![
        row(put("/v1/accounts/gcm", "setGcmToken")
            .says(TAG, "Have Google wake the device")
            .takes::<GcmToken>()),
        row(delete("/v1/accounts/gcm", "deleteGcmToken")
            .says(TAG, "Have Google wake the device no longer")),
        row(put("/v1/accounts/apn", "setApnToken")
            .says(TAG, "Have Apple wake the device")
            .takes::<ApnToken>()),
        row(delete("/v1/accounts/apn", "deleteApnToken")
            .says(TAG, "Have Apple wake the device no longer")),
    ]
}

fn number() -> Vec<Endpoint> {
    let row = |endpoint: Endpoint| {
        endpoint
            .takes::<NumberRequest>()
            .answers::<IdentityResponse>(200, "The account has the number.")
            .says_so(
                403,
                "A linked device asks, or there is no proof that counts.",
            )
            .answers::<StaleDevices>(410, "Messages for devices that have been installed anew.")
            .answers_inline::<AnyObject>(423, "Whoever has the number has set a lock.")
            .runs(["ChangeNumber"])
            .shows(["accounts", "devices", "pre_keys"])
    };
    vec![
        row(put("/v1/accounts/number", "changeNumber")
            .says(TAG, "Move to a number that nobody has"))
        .says_so(409, "Somebody has it, or messages are for other devices."),
        row(put("/v2/accounts/number", "changeNumberAndKeys")
            .says(TAG, "Move to a number, whoever has it"))
        .answers::<MismatchedDevices>(409, "Messages for other devices than the account has."),
    ]
}

fn usernames() -> Vec<Endpoint> {
    vec![
        put("/v1/accounts/username_hash/reserve", "reserveUsernameHash")
            .says(TAG, "Keep one of several usernames for a while")
            .takes::<ReserveRequest>()
            .answers::<ReserveResponse>(200, "The one that is kept.")
            .says_so(409, "Others have them all.")
            .runs(["ReserveUsername"]),
        put(
            "/v1/accounts/username_hash/confirm",
            "confirmReservedUsernameHash",
        )
        .says(TAG, "Take the username that is kept")
        .takes::<ConfirmRequest>()
        .answers::<ConfirmResponse>(200, "The account has it.")
        .says_so(409, "It is not kept for the account.")
        .says_so(410, "Somebody else has it by now.")
        .runs(["ConfirmUsername"])
        .shows(["accounts"]),
        put(
            "/v1/accounts/username_hash/{usernameHash}",
            "confirmUsernameHash",
        )
        .says(TAG, "Take a username")
        .segment(HASH.0, HASH.1)
        .takes::<ConfirmRequest>()
        .answers::<ConfirmResponse>(200, "The account has it.")
        .says_so(409, "Somebody else has it.")
        .says_so(410, "It was kept for the account, and is no longer.")
        .runs(["ConfirmUsername"])
        .shows(["accounts"]),
        get(
            "/v1/accounts/username_hash/{usernameHash}",
            "lookupUsernameHash",
        )
        .says(TAG, "Whose username it is")
        .for_anybody()
        .segment(HASH.0, HASH.1)
        .answers::<LookUpResponse>(200, "Theirs.")
        .says_so(422, "It is not the hash of a username.")
        .shows(["accounts"]),
        delete("/v1/accounts/username_hash", "deleteUsernameHash")
            .says(TAG, "Give the username up")
            .says_so(204, "The account has none.")
            .runs(["DropUsername"])
            .shows(["accounts"]),
        put("/v1/accounts/username_link", "setUsernameLink")
            .says(TAG, "Put an encrypted username behind a link")
            .takes::<LinkRequest>()
            .answers::<LinkResponse>(200, "Where it stands.")
            .says_so(409, "The account has no username.")
            .runs(["SetUsernameLink"])
            .shows(["accounts"]),
        delete("/v1/accounts/username_link", "deleteUsernameLink")
            .says(TAG, "Put nothing behind the link")
            .says_so(204, "Nothing is there.")
            .runs(["DeleteUsernameLink"])
            .shows(["accounts"]),
        get("/v1/accounts/username_link/{handle}", "lookupUsernameLink")
            .says(TAG, "What stands behind a link")
            .for_nobody()
            .segment("handle", "The link's handle: a UUID.")
            .answers::<LinkRequest>(200, "The encrypted username.")
            .says_so(422, "It is no handle.")
            .shows(["accounts"]),
    ]
}
