//! Who somebody is.

use super::endpoint::{Endpoint, delete, get, head, put};
use crate::http::accounts::identity::IdentityResponse;
use crate::http::registration::attributes::AttributesRequest;

const TAG: &str = "Accounts";

pub(super) fn endpoints() -> Vec<Endpoint> {
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
            .appends(["AttributesChanged"])
            .shows(["accounts", "devices"]),
        delete("/v1/accounts/me", "deleteAccount")
            .says(TAG, "Delete the account")
            .says_so(204, "It is gone.")
            .runs(["DeleteAccount"])
            .appends(["AccountDeleted", "NumberReleased"])
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
