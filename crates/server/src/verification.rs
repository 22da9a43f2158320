//! Who sends verification codes: nobody (they are logged), or a service of the operator's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use commands::ports::{CodeMint, DeliveryFailed, ProviderRefusal, VerificationTransport};
use commands::verification::{SessionBudget, VerificationPolicy};
use events::E164;
use events::ports::Entropy;
use events::values::Redacted;
use events::verification::Transport;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tracing::{info, warn};

use crate::config;

/// Shows codes in the log. For development, where the log is the phone.
struct LogTransport;

#[async_trait]
impl VerificationTransport for LogTransport {
    async fn deliver(
        &self,
        _number: &E164,
        code: &str,
        transport: Transport,
        _language: Option<&str>,
    ) -> Result<(), DeliveryFailed> {
        // The one place where a code may reach a log line: `check-config` warns about this transport.
        info!(
            code,
            ?transport,
            "verification code (transport \"log\": nobody was called)"
        );
        Ok(())
    }
}

/// Hands codes to an HTTP service: `POST {number, code, transport, language}`.
struct WebhookTransport {
    client: Client,
    url: String,
    token: Option<SecretString>,
}

/// How long the service may take.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(15);

#[async_trait]
impl VerificationTransport for WebhookTransport {
    async fn deliver(
        &self,
        number: &E164,
        code: &str,
        transport: Transport,
        language: Option<&str>,
    ) -> Result<(), DeliveryFailed> {
        let body = json!({
            "number": number.as_str(), "code": code, "transport": transport, "language": language,
        });
        let mut request = self.client.post(&self.url).json(&body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        match request.send().await {
            Ok(response) => verdict(response.status()),
            Err(error) => {
                // Without its URL, which may hold a secret of the operator's.
                warn!(error = %error.without_url(), "the verification webhook did not answer");
                Err(refused(ProviderRefusal::Unavailable, false))
            }
        }
    }
}

/// What the service's answer means.
fn verdict(status: StatusCode) -> Result<(), DeliveryFailed> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::IM_A_TEAPOT => Err(DeliveryFailed::TransportNotAllowed),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(refused(ProviderRefusal::IllegalArgument, true))
        }
        status if status.is_client_error() => {
            warn!(%status, "the verification webhook refused a code");
            Err(refused(ProviderRefusal::Rejected, false))
        }
        status => {
            warn!(%status, "the verification webhook failed");
            Err(refused(ProviderRefusal::Unavailable, false))
        }
    }
}

const fn refused(reason: ProviderRefusal, permanent: bool) -> DeliveryFailed {
    DeliveryFailed::Provider { reason, permanent }
}

/// The transport that the configuration names.
pub(crate) fn transport(
    config: &config::Verification,
) -> anyhow::Result<Arc<dyn VerificationTransport>> {
    Ok(match config.transport {
        config::VerificationTransport::Log => Arc::new(LogTransport),
        config::VerificationTransport::Webhook => {
            let token = match &config.webhook_token_file {
                None => None,
                Some(file) => {
                    let text = std::fs::read_to_string(file).with_context(|| {
                        format!(
                            "verification.webhook_token_file: cannot read {}",
                            file.display()
                        )
                    })?;
                    Some(SecretString::from(text.trim().to_owned()))
                }
            };
            let client = Client::builder().timeout(WEBHOOK_PATIENCE).build()?;
            let url = config
                .webhook_url
                .clone()
                .context("verification.webhook_url is needed")?;
            Arc::new(WebhookTransport { client, url, token })
        }
    })
}

/// How often and how fast codes may be asked for and tried.
pub(crate) fn policy(config: &config::Verification) -> VerificationPolicy {
    VerificationPolicy {
        sessions: match config.sessions_per_number {
            config::SessionsPerNumber::Limited => Some(SessionBudget::default()),
            config::SessionsPerNumber::Any => None,
        },
        ..VerificationPolicy::default()
    }
}

/// Six random digits.
struct RandomCodes(Arc<dyn Entropy>);

impl CodeMint for RandomCodes {
    fn mint(&self, _number: &E164) -> Redacted<Box<str>> {
        // 2^64 is not a multiple of a million; the bias is below 1 in 10^13.
        let number = u64::from_le_bytes(self.0.bytes()) % 1_000_000;
        Redacted(format!("{number:06}").into())
    }
}

/// The same code for everybody.
struct FixedCode(Box<str>);

impl CodeMint for FixedCode {
    fn mint(&self, _number: &E164) -> Redacted<Box<str>> {
        Redacted(self.0.clone())
    }
}

/// Who makes the codes that the configuration wants.
pub(crate) fn mint(config: &config::Verification, entropy: &Arc<dyn Entropy>) -> Arc<dyn CodeMint> {
    match &config.fixed_code {
        Some(code) => Arc::new(FixedCode(code.as_str().into())),
        None => Arc::new(RandomCodes(Arc::clone(entropy))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SystemEntropy;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers one request with `status` and returns what was asked.
    async fn webhook(
        status: &'static str,
        token: Option<&str>,
    ) -> (String, Result<(), DeliveryFailed>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/send", listener.local_addr().unwrap());
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                assert!(stream.read_buf(&mut asked).await.unwrap() > 0);
            }
            let reply =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(reply.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap()
        };
        let transport = WebhookTransport {
            client: Client::new(),
            url,
            token: token.map(|token| SecretString::from(token.to_owned())),
        };
        let number: E164 = "+12025550100".parse().unwrap();
        tokio::join!(
            answer,
            transport.deliver(&number, "123456", Transport::Sms, Some("de"))
        )
    }

    #[tokio::test]
    async fn the_webhook_gets_number_code_and_language() {
        let (asked, outcome) = webhook("204 No Content", Some("hush")).await;
        assert_eq!(outcome, Ok(()));
        assert!(
            asked.to_lowercase().contains("authorization: bearer hush"),
            "{asked}"
        );
        let body: serde_json::Value =
            serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let expected = json!({ "number": "+12025550100", "code": "123456", "transport": "sms", "language": "de" });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn the_webhooks_refusals_are_told_apart() {
        assert_eq!(
            webhook("418 No", None).await.1,
            Err(DeliveryFailed::TransportNotAllowed)
        );
        let failed = |reason, permanent| Err(DeliveryFailed::Provider { reason, permanent });
        assert_eq!(
            webhook("403 No", None).await.1,
            failed(ProviderRefusal::Rejected, false)
        );
        assert_eq!(
            webhook("422 No", None).await.1,
            failed(ProviderRefusal::IllegalArgument, true)
        );
        assert_eq!(
            webhook("503 No", None).await.1,
            failed(ProviderRefusal::Unavailable, false)
        );
    }

    #[test]
    fn minted_codes_have_six_digits() {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let codes = mint(&config::Verification::default(), &entropy);
        let number: E164 = "+12025550100".parse().unwrap();
        for _ in 0..100 {
            let Redacted(code) = codes.mint(&number);
            assert!(
                code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
                "{code}"
            );
        }
    }
}
