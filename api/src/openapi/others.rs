//! Uploads, settings, life signs.

use super::endpoint::{Endpoint, get};
use crate::http::config::fetch::ConfigResponse;
use crate::ports::objects::UploadForm;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/v4/attachments/form/upload", "getAttachmentUploadForm")
            .says("Attachments", "A form to upload an attachment with")
            .query("uploadLength", "How many bytes it will be.")
            .answers::<UploadForm>(200, "The form.")
            .says_so(413, "Attachments may not be that large."),
        get("/v2/config", "getRemoteConfig")
            .says("Server", "Settings for clients")
            .header(
                "If-None-Match",
                "The `ETag` of the settings that the client has.",
            )
            .answers::<ConfigResponse>(200, "The settings.")
            .says_so(304, "The client has them."),
        get("/v1/keepalive", "keepAlive")
            .says("Server", "Keep a WebSocket alive")
            .for_nobody()
            .says_so(200, "It is alive.")
            .says_so(404, "Not over a WebSocket."),
        get("/v1/keepalive/provisioning", "keepProvisioningAlive")
            .says("Server", "Keep a provisioning WebSocket alive")
            .for_nobody()
            .says_so(200, "It is alive.")
            .says_so(404, "Not over a WebSocket."),
    ]
}
