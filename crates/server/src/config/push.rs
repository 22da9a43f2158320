//! `[push]`: how devices are woken.

use std::path::PathBuf;

use serde::Deserialize;

/// Through which services devices are woken that are not connected. None: through none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Push {
    pub(crate) apns: Option<Apns>,
    pub(crate) fcm: Option<Fcm>,
    /// Takes the tokens of all services that are not named.
    pub(crate) webhook: Option<PushWebhook>,
}

/// Apple's push service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apns {
    /// The signing key that Apple issued (`.p8`).
    pub(crate) key_file: PathBuf,
    pub(crate) key_id: String,
    pub(crate) team_id: String,
    /// The application's bundle id.
    pub(crate) topic: String,
    /// Another one for applications under development.
    #[serde(default = "apple")]
    pub(crate) url: String,
}

fn apple() -> String {
    "https://api.push.apple.com".to_owned()
}

/// Google's push service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fcm {
    /// The file that Google hands out for a service account.
    pub(crate) service_account_file: PathBuf,
    #[serde(default = "google")]
    pub(crate) url: String,
}

fn google() -> String {
    "https://fcm.googleapis.com".to_owned()
}

/// A service of the operator's: `POST {service, token, kind, urgent, challenge}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushWebhook {
    pub(crate) url: String,
    /// A file whose contents go into `Authorization: Bearer …`.
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
}
