//! Sending, and receiving without a WebSocket.

use super::endpoint::{AnyList, AnyObject, Endpoint, delete, get, post, put};
use super::shapes::{MismatchedDevices, StaleDevices};
use crate::http::messages::list::ListResponse;
use crate::http::messages::multi_recipient::{MULTI_RECIPIENT_MESSAGE, MultiRecipientResponse};
use crate::http::messages::report::ReportRequest;
use crate::http::messages::send::{SendRequest, SendResponse};

const TAG: &str = "Messages";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/v1/messages", "listMessages")
            .says(TAG, "What waits for the device")
            .answers::<ListResponse>(200, "The oldest of it.")
            .shows(["inbox"]),
        delete("/v1/messages/uuid/{guid}", "acknowledgeMessage")
            .says(TAG, "Acknowledge a message")
            .segment("guid", "The message's id.")
            .says_so(204, "It waits no longer.")
            .runs(["Acknowledge"])
            .shows(["inbox"]),
        post("/v1/messages/report/{source}/{guid}", "reportMessage")
            .says(TAG, "Report a message as spam")
            .segment("source", "Who sent it: an account's id, or a number.")
            .segment("guid", "The message's id.")
            .takes::<ReportRequest>()
            .says_so(202, "It is noted.")
            .runs(["ReportMessage"])
            .shows(["accounts"]),
        put("/v1/messages/multi_recipient", "sendMultiRecipientMessage")
            .says(TAG, "Send a sealed message to all devices of many accounts")
            .for_anybody()
            .query("ts", "The sender's time in milliseconds.")
            .query(
                "online",
                "`true`: for devices that are connected now, and for nobody later.",
            )
            .query("urgent", "Anything but `true`: nobody needs to be woken.")
            .query("story", "`true` if it belongs to a story.")
            .header(
                "Unidentified-Access-Key",
                "Base64 of the access keys of all, XORed.",
            )
            .header("Group-Send-Token", "In place of access keys.")
            .takes_bytes(MULTI_RECIPIENT_MESSAGE)
            .answers::<MultiRecipientResponse>(200, "It is stored for all of them.")
            .says_so(404, "With access keys: a recipient that does not exist.")
            .answers_inline::<AnyList>(409, "Accounts have other devices.")
            .answers_inline::<AnyList>(410, "Devices have been installed anew.")
            .runs(["SendToMany"]),
        put("/v1/messages/{destinationUuid}", "sendMessage")
            .says(TAG, "Send to all devices of an account")
            .for_anybody()
            .segment("destinationUuid", "A service id.")
            .query("story", "`true` if it belongs to a story.")
            .header(
                "Unidentified-Access-Key",
                "Base64 of 16 bytes, in place of credentials.",
            )
            .header("Group-Send-Token", "In place of credentials.")
            .takes::<SendRequest>()
            .answers::<SendResponse>(200, "It is stored for all of them.")
            .says_so(403, "To one's own account, by the id of its number.")
            .answers::<MismatchedDevices>(409, "The account has other devices.")
            .answers::<StaleDevices>(410, "Devices have been installed anew.")
            .answers_inline::<AnyObject>(428, "A challenge comes first.")
            .runs(["SendMessage"]),
    ]
}
