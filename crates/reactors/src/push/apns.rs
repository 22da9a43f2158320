//! Apple's push service: HTTP/2, a token of our own signing (ES256) that is renewed within the hour.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use commands::ports::{FAILED_LOCK, Notification, PushFailed};
use events::Timestamp;
use events::ports::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::services::{client, is_passing, retry_after, unreachable};

/// Apple refuses tokens older than an hour, and renewals within 20 minutes.
const RENEWAL: Duration = Duration::from_mins(40);

/// How to reach Apple.
pub struct ApnsOptions {
    /// `https://api.push.apple.com`, or `https://api.sandbox.push.apple.com`.
    pub url: String,
    /// The private key (PKCS#8, PEM) that Apple issued.
    pub key: SecretString,
    /// Its name.
    pub key_id: String,
    /// The developer team.
    pub team_id: String,
    /// The application's bundle id.
    pub topic: String,
}

pub(super) struct Apns {
    client: Client,
    clock: Arc<dyn Clock>,
    url: String,
    key: EncodingKey,
    key_id: String,
    team_id: String,
    topic: String,
    bearer: Mutex<Option<(Timestamp, SecretString)>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: String,
}

impl Apns {
    pub(super) fn new(options: ApnsOptions, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let key = EncodingKey::from_ec_pem(options.key.expose_secret().as_bytes())
            .context("the APNs key is not a private key for ES256 in PEM")?;
        Ok(Self {
            client: client(&options.url, true)?,
            clock,
            url: options.url.trim_end_matches('/').to_owned(),
            key,
            key_id: options.key_id,
            team_id: options.team_id,
            topic: options.topic,
            bearer: Mutex::default(),
        })
    }

    /// The token that says who we are.
    fn bearer(&self) -> Result<SecretString, PushFailed> {
        let now = self.clock.now();
        let mut bearer = self
            .bearer
            .lock()
            .expect("nothing panics while it signs a token");
        match &*bearer {
            Some((signed, token)) if now.since(*signed) < RENEWAL => Ok(token.clone()),
            _ => {
                let header = Header {
                    kid: Some(self.key_id.clone()),
                    ..Header::new(Algorithm::ES256)
                };
                let claims = Claims {
                    iss: &self.team_id,
                    iat: now.epoch_millis() / 1000,
                };
                let token = encode(&header, &claims, &self.key)
                    .map_err(|_| PushFailed::Refused("the APNs key cannot sign"))?;
                let token = SecretString::from(token);
                *bearer = Some((now, token.clone()));
                Ok(token)
            }
        }
    }

    pub(super) async fn push(
        &self,
        token: &str,
        notification: &Notification,
    ) -> Result<(), PushFailed> {
        // It becomes part of a path.
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(PushFailed::InvalidToken);
        }
        let (kind, priority) = manner(notification);
        let mut request = self
            .client
            .post(format!("{}/3/device/{token}", self.url))
            .bearer_auth(self.bearer()?.expose_secret())
            .header("apns-topic", &self.topic)
            .header("apns-push-type", kind)
            .header("apns-priority", priority)
            .json(&payload(notification));
        if matches!(notification, Notification::Messages { .. }) {
            request = request.header("apns-collapse-id", "incoming-message");
        }
        let answer = request.send().await.map_err(unreachable)?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        if status.is_success() {
            return Ok(());
        }
        let refusal: Refusal = answer.json().await.unwrap_or_default();
        Err(self.judge(status, &refusal.reason, wait))
    }

    fn judge(&self, status: StatusCode, reason: &str, wait: Option<Duration>) -> PushFailed {
        match reason {
            "BadDeviceToken" | "Unregistered" | "DeviceTokenNotForTopic" | "ExpiredToken" => {
                PushFailed::InvalidToken
            }
            "ExpiredProviderToken" => {
                // Sign another one.
                self.bearer
                    .lock()
                    .expect("nothing panics while it signs a token")
                    .take();
                PushFailed::Later(None)
            }
            _ if status == StatusCode::GONE => PushFailed::InvalidToken,
            _ if is_passing(status) => PushFailed::Later(wait),
            _ => {
                tracing::warn!(%status, reason, "APNs refuses a push");
                PushFailed::Refused("APNs refuses it")
            }
        }
    }
}

/// What kind of push it is, and how much it hurries.
fn manner(notification: &Notification) -> (&'static str, &'static str) {
    match notification {
        Notification::Messages { urgent: true } | Notification::AttemptLogin => ("alert", "10"),
        Notification::Messages { urgent: false }
        | Notification::VerificationChallenge(_)
        | Notification::RateLimitChallenge(_) => ("background", "5"),
    }
}

fn payload(notification: &Notification) -> Value {
    let silent = json!({ "content-available": 1 });
    let alert =
        json!({ "sound": "default", "alert": { "loc-key": "APN_Message" }, "mutable-content": 1 });
    match notification {
        Notification::Messages { urgent: true } => json!({ "aps": alert, "newMessageAlert": "" }),
        Notification::Messages { urgent: false } => {
            json!({ "aps": silent, "newMessageAlert": "" })
        }
        Notification::VerificationChallenge(challenge) => {
            json!({ "aps": silent, "challenge": challenge.0 })
        }
        Notification::RateLimitChallenge(challenge) => {
            json!({ "aps": silent, "rateLimitChallenge": challenge.0 })
        }
        Notification::AttemptLogin => json!({ "aps": alert, "attemptLoginContext": FAILED_LOCK }),
    }
}
