//! `POST /v2/svr/auth/check` (and `/v2/backup/auth/check`): which of the credentials that a client found in its backups are
//! those of the account that a number belongs to. Anybody may ask: who has credentials has proved something. 422; 429.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use crypto::external::TokenVerdict;
use events::E164;
use projections::QueryError;
use serde::{Deserialize, Serialize};

use crate::http::extract::{ClientAddress, Json};
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::limits::rates::Limit;
use crate::state::Api;

/// How old credentials may be.
pub const MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// How many may be checked at once.
pub const MAX_TOKENS: usize = 10;

/// The body.
#[derive(Clone, Deserialize, Serialize, utoipa::ToSchema)]
pub struct CheckRequest {
    /// The number that the client is about to register.
    #[serde(default)]
    pub number: Option<String>,
    /// One to ten, each `username:password`.
    #[serde(default, alias = "passwords")]
    pub tokens: Option<Vec<String>>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckResponse {
    /// For each of the credentials that came.
    pub matches: BTreeMap<String, Verdict>,
}

/// What a client is told about credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They belong to the account.
    Match,
    /// They belong to another account.
    NoMatch,
    /// They are of no use.
    Invalid,
}

impl From<TokenVerdict> for Verdict {
    fn from(verdict: TokenVerdict) -> Self {
        match verdict {
            TokenVerdict::Match => Self::Match,
            TokenVerdict::NoMatch => Self::NoMatch,
            TokenVerdict::Invalid => Self::Invalid,
        }
    }
}

impl Api {
    /// Judges credentials for secure value recovery, for the account that the number belongs to.
    pub(crate) async fn check_recovery_credentials(
        &self,
        number: Option<&E164>,
        tokens: &[String],
    ) -> Result<BTreeMap<String, TokenVerdict>, QueryError> {
        let account = match number {
            Some(number) => {
                let pni = self.pnis.pni_of(number);
                self.queries.accounts().by_service_id(pni.into()).await?
            }
            None => None,
        };
        let verdicts = self.issuing.keys.external.svr2.check_tokens(
            tokens.iter().map(String::as_str),
            account.map(|account| account.aci),
            self.clock.now(),
            MAX_AGE,
        );
        Ok(tokens.iter().cloned().zip(verdicts).collect())
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    address: ClientAddress,
    Json(request): Json<CheckRequest>,
) -> Result<Json<CheckResponse>, Problem> {
    let mut violations = Violations::default();
    let number = request.number.unwrap_or_default();
    let number = violations.parsed(
        number.parse::<E164>(),
        "number value is not a valid E164 number",
    );
    let tokens = request.tokens.unwrap_or_default();
    violations.check(
        (1..=MAX_TOKENS).contains(&tokens.len()),
        "tokens size must be between 1 and 10",
    );
    violations.refuse()?;
    let limit = Limit::BackupAuthCheck;
    api.limits.take(limit, &address.bucket()).await?;
    let verdicts = api
        .check_recovery_credentials(number.as_ref(), &tokens)
        .await;
    let verdicts = verdicts.map_err(|error| Problem::unavailable(&error))?;
    let matches = verdicts
        .into_iter()
        .map(|(token, verdict)| (token, verdict.into()));
    Ok(Json(CheckResponse {
        matches: matches.collect(),
    }))
}
