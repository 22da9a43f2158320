//! How a client says that it proves a number.

use commands::registration::register_account::NumberProof;
use events::values::Redacted;
use http::StatusCode;

use crate::config::Dialect;
use crate::http::extract::path::session_id;
use crate::http::problem::Problem;

/// The two ways: exactly one of them.
pub(super) struct Proofs {
    pub(super) session_id: Option<String>,
    pub(super) recovery_password: Option<Vec<u8>>,
}

impl Proofs {
    pub(super) const fn is_one(&self) -> bool {
        self.session_id.is_some() != self.recovery_password.is_some()
    }

    /// What a name in the credentials that is no number comes to: it is not the number that was proved.
    pub(super) fn of_no_number(&self) -> Problem {
        match self.session_id {
            Some(_) => Problem::bad_request("the session is about another number"),
            None => Problem::of(StatusCode::FORBIDDEN),
        }
    }

    pub(super) fn parse(self, dialect: Dialect) -> Result<NumberProof, Problem> {
        let Some(session) = self.session_id else {
            let password = self.recovery_password.unwrap_or_default();
            return Ok(NumberProof::RecoveryPassword(Redacted(password.into())));
        };
        match (session_id(&session), dialect) {
            (Some(Some(session)), _) => Ok(NumberProof::Session(session)),
            (Some(None), _) => Err(Problem::unauthorized()),
            (None, Dialect::Deployed) => Err(Problem::unprocessable("Malformed session ID")),
            (None, Dialect::Seed) => Err(Problem::bad_request("Malformed session ID")),
        }
    }
}
