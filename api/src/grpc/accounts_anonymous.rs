//! `account.AccountsAnonymous`: what others may learn of an account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | credentials are shown; a field breaks its rule |
//!
//! That there is no such account is an outcome.

use tonic::{Request, Response, Status};

use super::call::AnonymousCall;
use super::proto::account::accounts_anonymous_server::AccountsAnonymous;
use super::proto::account::{CheckAccountExistenceRequest, CheckAccountExistenceResponse};
use super::{Door, ids, status};

#[tonic::async_trait]
impl AccountsAnonymous for Door {
    async fn check_account_existence(
        &self,
        request: Request<CheckAccountExistenceRequest>,
    ) -> Result<Response<CheckAccountExistenceResponse>, Status> {
        let call = AnonymousCall::of(request);
        let account = ids::service_id(call.message.service_identifier)?;
        let exists = self.0.queries.accounts().exists(account).await;
        Ok(Response::new(CheckAccountExistenceResponse {
            account_exists: exists.map_err(status::unanswered)?,
        }))
    }
}
