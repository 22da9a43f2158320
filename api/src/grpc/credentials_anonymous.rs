//! `credentials.CredentialsAnonymous`: which of the credentials for secure value recovery that a client found are of use.
//! 3 if credentials are shown, or for none or more than ten of them; 8 for too many calls from one address.

use crypto::external::TokenVerdict;
use events::E164;
use tonic::{Request, Response, Status};

use super::call::AnonymousCall;
use super::proto::credentials::credentials_anonymous_server::CredentialsAnonymous;
use super::proto::credentials::{
    AuthCheckResult, CheckSvrCredentialsRequest, CheckSvrCredentialsResponse,
};
use super::{Door, status};
use crate::limits::rates::Limit;

fn verdict(verdict: TokenVerdict) -> AuthCheckResult {
    match verdict {
        TokenVerdict::Match => AuthCheckResult::Match,
        TokenVerdict::NoMatch => AuthCheckResult::NoMatch,
        TokenVerdict::Invalid => AuthCheckResult::Invalid,
    }
}

#[tonic::async_trait]
impl CredentialsAnonymous for Door {
    /// What is no number has no account, and so matches nothing.
    async fn check_svr_credentials(
        &self,
        request: Request<CheckSvrCredentialsRequest>,
    ) -> Result<Response<CheckSvrCredentialsResponse>, Status> {
        let call = AnonymousCall::of(request);
        self.count_by_address(Limit::BackupAuthCheck, &call).await?;
        let number = call.message.number.parse::<E164>().ok();
        let verdicts = self
            .0
            .check_recovery_credentials(number.as_ref(), &call.message.passwords)
            .await
            .map_err(status::unanswered)?;
        let matches = verdicts
            .into_iter()
            .map(|(token, judged)| (token, verdict(judged).into()));
        Ok(Response::new(CheckSvrCredentialsResponse {
            matches: matches.collect(),
        }))
    }
}
