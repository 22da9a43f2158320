//! Google's push service: HTTP v1, with an access token that a service account asks for (OAuth, RS256).

use std::sync::Arc;
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
use tokio::sync::Mutex;

use super::services::{client, is_passing, retry_after, unreachable};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long an assertion is good for, in seconds.
const ASSERTED: u64 = 3600;

/// An access token is not used for its last minutes.
const MARGIN: Duration = Duration::from_mins(5);

/// How to reach Google.
pub struct FcmOptions {
    /// `https://fcm.googleapis.com`.
    pub url: String,
    /// Who asks.
    pub account: ServiceAccount,
}

/// The file that Google hands out for a service account, as far as it matters here.
#[derive(Clone, Deserialize)]
pub struct ServiceAccount {
    /// The project.
    pub project_id: String,
    /// The account's name.
    pub client_email: String,
    /// The account's private key (PEM).
    pub private_key: SecretString,
    /// Where access tokens are issued.
    pub token_uri: String,
}

pub(super) struct Fcm {
    client: Client,
    clock: Arc<dyn Clock>,
    url: String,
    account: ServiceAccount,
    key: EncodingKey,
    /// The access token, and until when it is used. Whoever finds none asks for one, while the others wait.
    access: Mutex<Option<(Timestamp, SecretString)>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
struct Access {
    access_token: SecretString,
    expires_in: u64,
}

impl Fcm {
    pub(super) fn new(options: FcmOptions, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let FcmOptions { url, account } = options;
        let key = EncodingKey::from_rsa_pem(account.private_key.expose_secret().as_bytes())
            .context("the FCM service account's private_key is not an RSA key in PEM")?;
        let url = url.trim_end_matches('/');
        Ok(Self {
            client: client(url, true)?,
            clock,
            url: format!("{url}/v1/projects/{}/messages:send", account.project_id),
            account,
            key,
            access: Mutex::default(),
        })
    }

    async fn access(&self) -> Result<SecretString, PushFailed> {
        let now = self.clock.now();
        let mut access = self.access.lock().await;
        if let Some((until, token)) = access.as_ref().filter(|(until, _)| now < *until) {
            tracing::trace!(
                until = until.epoch_millis(),
                "the access token is still good"
            );
            return Ok(token.clone());
        }
        let fresh = self.ask_for_access(now).await?;
        let good = Duration::from_secs(fresh.expires_in).saturating_sub(MARGIN);
        *access = Some((now.plus(good), fresh.access_token.clone()));
        Ok(fresh.access_token)
    }

    async fn ask_for_access(&self, now: Timestamp) -> Result<Access, PushFailed> {
        let iat = now.epoch_millis() / 1000;
        let claims = Claims {
            iss: &self.account.client_email,
            scope: SCOPE,
            aud: &self.account.token_uri,
            iat,
            exp: iat + ASSERTED,
        };
        let assertion = encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|_| PushFailed::Refused("the FCM service account's key cannot sign"))?;
        // Base64url and dots need no escaping in a form; the colons of the grant type do.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let answer = self
            .client
            .post(&self.account.token_uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unreachable);
        }
        tracing::warn!(%status, "no access token for FCM");
        Err(if is_passing(status) {
            PushFailed::Later(retry_after(answer.headers()))
        } else {
            PushFailed::Refused("FCM grants no access token")
        })
    }

    pub(super) async fn push(
        &self,
        token: &str,
        notification: &Notification,
    ) -> Result<(), PushFailed> {
        let access = self.access().await?;
        let answer = self
            .client
            .post(&self.url)
            .bearer_auth(access.expose_secret())
            .json(&message(token, notification))
            .send()
            .await
            .map_err(unreachable)?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        if status.is_success() {
            return Ok(());
        }
        let refusal: Value = answer.json().await.unwrap_or_default();
        match status {
            StatusCode::NOT_FOUND => Err(PushFailed::InvalidToken),
            _ if error_code(&refusal) == Some("UNREGISTERED") => Err(PushFailed::InvalidToken),
            _ if is_about_the_token(&refusal) => Err(PushFailed::InvalidToken),
            StatusCode::UNAUTHORIZED => {
                // The token was withdrawn: ask for another one.
                self.access.lock().await.take();
                Err(PushFailed::Later(None))
            }
            _ if is_passing(status) => Err(PushFailed::Later(wait)),
            _ => {
                tracing::warn!(%status, "FCM refuses a push");
                Err(PushFailed::Refused("FCM refuses it"))
            }
        }
    }
}

fn message(token: &str, notification: &Notification) -> Value {
    let (priority, data) = match notification {
        Notification::Messages { urgent } => (
            if *urgent { "HIGH" } else { "NORMAL" },
            json!({ "newMessageAlert": "" }),
        ),
        Notification::VerificationChallenge(challenge) => {
            ("HIGH", json!({ "challenge": challenge.0 }))
        }
        Notification::RateLimitChallenge(challenge) => {
            ("HIGH", json!({ "rateLimitChallenge": challenge.0 }))
        }
        Notification::AttemptLogin => ("HIGH", json!({ "attemptLoginContext": FAILED_LOCK })),
    };
    let mut android = json!({ "priority": priority });
    if matches!(notification, Notification::Messages { .. }) {
        android["collapse_key"] = "incoming-message".into();
    }
    json!({ "message": { "token": token, "data": data, "android": android } })
}

/// The code of the service's own, which stands among the details.
fn error_code(refusal: &Value) -> Option<&str> {
    let details = refusal["error"]["details"].as_array()?;
    details
        .iter()
        .find_map(|detail| detail["errorCode"].as_str())
}

/// `INVALID_ARGUMENT` that names the token's field.
fn is_about_the_token(refusal: &Value) -> bool {
    let details = refusal["error"]["details"].as_array();
    let violations = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail["fieldViolations"].as_array())
        .flatten();
    violations
        .filter_map(|violation| violation["field"].as_str())
        .any(|field| field == "message.token")
}
