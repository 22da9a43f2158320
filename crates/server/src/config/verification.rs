//! How people are verified.

use std::path::PathBuf;

use serde::Deserialize;

/// How phone numbers are verified.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Verification {
    /// Who sends codes.
    pub(crate) transport: VerificationTransport,
    /// With `transport = "webhook"`: where to POST `{number, code, transport, language}`.
    pub(crate) webhook_url: Option<String>,
    /// With `transport = "webhook"`: a file whose contents go into `Authorization: Bearer …`.
    pub(crate) webhook_token_file: Option<PathBuf>,
    /// A code that is right for every number. For development and tests only.
    pub(crate) fixed_code: Option<String>,
    /// Whether a captcha is asked for before a code is sent.
    pub(crate) captcha: Captcha,
    /// How many sessions one number may ask for.
    pub(crate) sessions_per_number: SessionsPerNumber,
}

/// How many verification sessions one number may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionsPerNumber {
    /// Five, and then one every 288 minutes; a minute apart at least.
    #[default]
    Limited,
    /// As many as it likes. For development and tests.
    Any,
}

/// Who sends verification codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VerificationTransport {
    /// Nobody: codes appear in the log. For development only.
    #[default]
    Log,
    /// A service of the operator's.
    Webhook,
}

/// Whether captchas are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Captcha {
    /// None is asked for; a well-formed one is taken if it comes.
    #[default]
    Off,
    /// One is asked for, and any well-formed one is taken. For tests of clients.
    Any,
}

/// When senders have to show that a person is behind them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spam {
    /// To how many recipients an account may write within an hour, by the count of each node, before it is asked to solve a
    /// captcha or answer a push. 0: to any number.
    pub(crate) recipients_per_hour: usize,
}
