//! A service of the operator's, for installations without Apple or Google: one POST a push.

use commands::ports::{Notification, PushFailed};
use events::account::PushToken;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::services::{client, is_passing, retry_after, unreachable};

/// How to reach the service.
pub struct WebhookOptions {
    /// Where to POST.
    pub url: String,
    /// What to say in `Authorization: Bearer`.
    pub token: Option<SecretString>,
}

pub(super) struct Webhook {
    client: Client,
    options: WebhookOptions,
}

impl Webhook {
    pub(super) fn new(options: WebhookOptions) -> anyhow::Result<Self> {
        Ok(Self {
            client: client(&options.url, false)?,
            options,
        })
    }

    pub(super) async fn push(
        &self,
        to: &PushToken,
        notification: &Notification,
    ) -> Result<(), PushFailed> {
        let mut request = self
            .client
            .post(&self.options.url)
            .json(&body(to, notification));
        if let Some(token) = &self.options.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.send().await.map_err(unreachable)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(PushFailed::InvalidToken),
            status if is_passing(status) => Err(PushFailed::Later(retry_after(answer.headers()))),
            status => {
                tracing::warn!(%status, "the push webhook refuses a push");
                Err(PushFailed::Refused("the push webhook refuses it"))
            }
        }
    }
}

fn body(to: &PushToken, notification: &Notification) -> Value {
    let (service, token) = match to {
        PushToken::Apn(token) => ("apn", token),
        PushToken::Fcm(token) => ("fcm", token),
    };
    let (kind, urgent, challenge) = match notification {
        Notification::Messages { urgent } => ("messages", *urgent, None),
        Notification::VerificationChallenge(it) => ("verificationChallenge", true, Some(&it.0)),
        Notification::RateLimitChallenge(it) => ("rateLimitChallenge", true, Some(&it.0)),
        Notification::AttemptLogin => ("attemptLogin", true, None),
    };
    json!({ "service": service, "token": token, "kind": kind, "urgent": urgent, "challenge": challenge })
}
