//! Whose account somebody reaches, by what they show.

use commands::account::{Caller, Denied, access};
use events::ServiceId;
use http::StatusCode;
use projections::QueryError;
use projections::accounts::Account;

use crate::http::problem::Problem;
use crate::state::Api;

/// Why an account is not reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// The caller may not, or there is nothing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The read model could not be asked.
    #[error(transparent)]
    Unavailable(#[from] QueryError),
}

impl Api {
    /// The account with this identity, if the caller reaches it.
    pub(crate) async fn reach(
        &self,
        identity: ServiceId,
        caller: &Caller,
    ) -> Result<Account, Unreached> {
        let account = self.queries.accounts().by_service_id(identity).await?;
        let lock = account
            .as_ref()
            .map(|account| access::lock(account.unrestricted, account.access_key.as_ref()));
        caller.reaches(identity, lock)?;
        Ok(account.ok_or_else(|| caller.absent())?)
    }
}

impl From<Unreached> for Problem {
    fn from(unreached: Unreached) -> Self {
        match unreached {
            Unreached::Denied(Denied::Unauthorized) => Self::of(StatusCode::UNAUTHORIZED),
            Unreached::Denied(Denied::NotFound) => Self::not_found(),
            Unreached::Unavailable(error) => Self::unavailable(&error),
        }
    }
}
