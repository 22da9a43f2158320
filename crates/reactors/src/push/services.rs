//! Which service a push goes to: that of the token, if the installation has it, or the operator's own.

use std::sync::Arc;

use async_trait::async_trait;
use commands::ports::{Notification, PushFailed, PushTransport};
use events::account::PushToken;
use events::ports::Clock;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

use super::apns::{Apns, ApnsOptions};
use super::fcm::{Fcm, FcmOptions};
use super::webhook::{Webhook, WebhookOptions};

/// How long a service may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Which services the installation has.
#[derive(Default)]
pub struct ServicesOptions {
    /// Apple's.
    pub apns: Option<ApnsOptions>,
    /// Google's.
    pub fcm: Option<FcmOptions>,
    /// The operator's, for the tokens of all that are not named above.
    pub webhook: Option<WebhookOptions>,
}

/// All services of an installation.
pub struct Services {
    apns: Option<Apns>,
    fcm: Option<Fcm>,
    webhook: Option<Webhook>,
}

impl Services {
    /// Reads keys and makes connections ready; nothing is sent.
    pub fn new(options: ServicesOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let ServicesOptions { apns, fcm, webhook } = options;
        Ok(Self {
            apns: apns
                .map(|options| Apns::new(options, Arc::clone(clock)))
                .transpose()?,
            fcm: fcm
                .map(|options| Fcm::new(options, Arc::clone(clock)))
                .transpose()?,
            webhook: webhook.map(Webhook::new).transpose()?,
        })
    }
}

#[async_trait]
impl PushTransport for Services {
    async fn push(&self, to: &PushToken, notification: &Notification) -> Result<(), PushFailed> {
        match (to, &self.apns, &self.fcm, &self.webhook) {
            (PushToken::Apn(token), Some(apns), ..) => apns.push(token, notification).await,
            (PushToken::Fcm(token), _, Some(fcm), _) => fcm.push(token, notification).await,
            (to, .., Some(webhook)) => webhook.push(to, notification).await,
            _ => Err(PushFailed::Refused(
                "the installation has no service for this token",
            )),
        }
    }
}

/// A client for a service. `http` is for doubles on the same machine: HTTP/2 from the first byte, without TLS.
pub(super) fn client(url: &str, http2: bool) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(PATIENCE);
    let builder = if http2 && url.starts_with("http:") {
        builder.http2_prior_knowledge()
    } else {
        builder
    };
    Ok(builder.build()?)
}

/// The service was not reached, or not understood.
pub(super) fn unreachable(error: reqwest::Error) -> PushFailed {
    // Without its URL, which holds the token.
    tracing::warn!(error = %error.without_url(), "a push service did not answer");
    PushFailed::Later(None)
}

/// What the service asks to wait, where it says so in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a status says that the service is busy or in trouble.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
