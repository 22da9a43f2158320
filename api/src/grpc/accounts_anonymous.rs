//! `account.AccountsAnonymous`: what others may learn of an account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | credentials are shown; a field breaks its rule |
//! | all but `GetCapabilities` | 8 | too many calls from one address |
//! | `GetCapabilities` | 3 | nothing is shown; a malformed token |
//!
//! That there is no such account or link, or that what is shown does not open the account, is an outcome.

use commands::account::Denied;
use events::LinkHandle;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::access::Shown;
use super::accounts::public_capabilities;
use super::call::AnonymousCall;
use super::proto::account::accounts_anonymous_server::AccountsAnonymous;
use super::proto::account::get_capabilities_anonymous_request::Authentication;
use super::proto::account::get_capabilities_anonymous_response::Response as Able;
use super::proto::account::lookup_username_hash_response::Response as ByHash;
use super::proto::account::lookup_username_link_response::Response as ByLink;
use super::proto::account::{
    CheckAccountExistenceRequest, CheckAccountExistenceResponse, GetCapabilitiesAnonymousRequest,
    GetCapabilitiesAnonymousResponse, LookupUsernameHashRequest, LookupUsernameHashResponse,
    LookupUsernameLinkRequest, LookupUsernameLinkResponse,
};
use super::proto::errors::{FailedUnidentifiedAuthorization, NotFound};
use super::usernames::hash;
use super::{Door, ids, status};
use crate::limits::rates::Limit;

#[tonic::async_trait]
impl AccountsAnonymous for Door {
    async fn check_account_existence(
        &self,
        request: Request<CheckAccountExistenceRequest>,
    ) -> Result<Response<CheckAccountExistenceResponse>, Status> {
        let call = AnonymousCall::of(request);
        self.count_by_address(Limit::CheckAccountExistence, &call)
            .await?;
        let account = ids::service_id(call.message.service_identifier)?;
        let exists = self.0.queries.accounts().exists(account).await;
        Ok(Response::new(CheckAccountExistenceResponse {
            account_exists: exists.map_err(status::unanswered)?,
        }))
    }

    async fn lookup_username_hash(
        &self,
        request: Request<LookupUsernameHashRequest>,
    ) -> Result<Response<LookupUsernameHashResponse>, Status> {
        let call = AnonymousCall::of(request);
        self.count_by_address(Limit::UsernameLookup, &call).await?;
        let hash = hash(&call.message.username_hash)?;
        let found = self.0.queries.accounts().by_username(hash).await;
        let outcome = match found.map_err(status::unanswered)? {
            Some(aci) => ByHash::ServiceIdentifier(ids::identifier(aci)),
            None => ByHash::NotFound(NotFound {}),
        };
        Ok(Response::new(LookupUsernameHashResponse {
            response: Some(outcome),
        }))
    }

    async fn lookup_username_link(
        &self,
        request: Request<LookupUsernameLinkRequest>,
    ) -> Result<Response<LookupUsernameLinkResponse>, Status> {
        let call = AnonymousCall::of(request);
        self.count_by_address(Limit::UsernameLinkLookup, &call)
            .await?;
        let handle = Uuid::from_slice(&call.message.username_link_handle)
            .map_err(|_| status::violated("username_link_handle", "must have a size of 16"))?;
        let handle = LinkHandle::from_uuid(handle);
        let found = self.0.queries.accounts().behind_link(handle).await;
        let outcome = match found.map_err(status::unanswered)? {
            Some(value) => ByLink::UsernameCiphertext(value.as_ref().to_vec().into()),
            None => ByLink::NotFound(NotFound {}),
        };
        Ok(Response::new(LookupUsernameLinkResponse {
            response: Some(outcome),
        }))
    }

    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesAnonymousRequest>,
    ) -> Result<Response<GetCapabilitiesAnonymousResponse>, Status> {
        let AnonymousCall { message, .. } = AnonymousCall::of(request);
        let aci = ids::aci(message.account_identifier)?;
        let shown = match message.authentication {
            Some(Authentication::UnidentifiedAccessKey(key)) => Shown::Key(key),
            Some(Authentication::GroupSendToken(token)) => Shown::Token(token),
            None => return Err(status::violated("authentication", "must be set")),
        };
        let outcome = match self.opened(shown, aci).await? {
            Ok(account) => {
                let devices = self.devices_of(account.aci).await?;
                Able::Capabilities(public_capabilities(&devices))
            }
            Err(Denied::NotFound) => Able::NotFound(NotFound {}),
            Err(Denied::Unauthorized) => {
                Able::FailedUnidentifiedAuthorization(FailedUnidentifiedAuthorization::default())
            }
        };
        Ok(Response::new(GetCapabilitiesAnonymousResponse {
            response: Some(outcome),
        }))
    }
}
