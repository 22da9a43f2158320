//! `profile.ProfileAnonymous`: profiles, and credentials about their keys, for those who do not say who they are.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | credentials are shown; a field breaks its rule |
//! | `GetProfile` | 3 | nothing is shown; a malformed token |
//! | `GetExpiringProfileKeyCredential` | 3 | a request that cannot be read or does not verify |
//!
//! That there is no such profile, or that what is shown does not open the account, are outcomes.

use commands::account::{Caller, Denied};
use crypto::zk::profile::{self, Commitment};
use events::Aci;
use events::values::hashes::UnidentifiedAccessKey;
use events::values::profile::ProfileVersion;
use tonic::{Request, Response, Status};

use super::access::{Shown as Showing, denied};
use super::call::AnonymousCall;
use super::profiles::{Shown, version, wanted};
use super::proto::errors::{FailedUnidentifiedAuthorization, NotFound};
use super::proto::profile::get_expiring_profile_key_credential_anonymous_response::Response as Issued;
use super::proto::profile::get_profile_anonymous_request::Authentication;
use super::proto::profile::get_profile_anonymous_response::Response as Found;
use super::proto::profile::profile_anonymous_server::ProfileAnonymous;
use super::proto::profile::{
    DeleteAvatarRequest, DeleteAvatarResponse, ExtendAvatarTtlRequest, ExtendAvatarTtlResponse,
    GetAvatarUploadFormRequest, GetAvatarUploadFormResponse,
    GetExpiringProfileKeyCredentialAnonymousRequest,
    GetExpiringProfileKeyCredentialAnonymousResponse, GetExpiringProfileKeyCredentialResult,
    GetProfileAnonymousRequest, GetProfileAnonymousResponse,
};
use super::{Door, ids, status};

impl Door {
    /// What was published about the key of a version, if somebody with this access key may know.
    async fn commitment(
        &self,
        aci: Aci,
        version: ProfileVersion,
        key: UnidentifiedAccessKey,
    ) -> Result<Option<Commitment>, Status> {
        match self.0.reach(aci.into(), &Caller::AccessKey(key)).await {
            Ok(_) => {}
            Err(unreached) => {
                return denied(unreached).map(|_: Denied| None);
            }
        }
        let stored = self.0.queries.profiles().version(aci, version).await;
        let stored = stored.map_err(status::unanswered)?;
        let commitment = stored.and_then(|stored| stored.commitment);
        // The door has read every commitment before it was stored.
        Ok(commitment.and_then(|bytes| Commitment::parse(bytes.as_ref()).ok()))
    }
}

#[tonic::async_trait]
impl ProfileAnonymous for Door {
    async fn get_profile(
        &self,
        request: Request<GetProfileAnonymousRequest>,
    ) -> Result<Response<GetProfileAnonymousResponse>, Status> {
        let AnonymousCall { message, .. } = AnonymousCall::of(request);
        let request = message.request.unwrap_or_default();
        let known = request.etag.clone();
        let (aci, version) = wanted(request)?;
        let shown = match message.authentication {
            Some(Authentication::UnidentifiedAccessKey(key)) => Showing::Key(key),
            Some(Authentication::GroupSendToken(token)) => Showing::Token(token),
            None => return Err(status::violated("authentication", "must be set")),
        };
        let outcome = match self.opened(shown, aci).await? {
            Ok(account) => match self.shown_profile(&account, version, &known).await? {
                Some(Shown::Second(profile)) => Found::Profile(profile),
                Some(Shown::First(profile)) => Found::ProfileV1(profile),
                Some(Shown::Unchanged) => Found::EtagMatched(true),
                None => Found::NotFound(NotFound {}),
            },
            Err(Denied::NotFound) => Found::NotFound(NotFound {}),
            Err(Denied::Unauthorized) => {
                Found::FailedUnidentifiedAuthorization(FailedUnidentifiedAuthorization::default())
            }
        };
        Ok(Response::new(GetProfileAnonymousResponse {
            response: Some(outcome),
        }))
    }

    /// An unknown account, another access key and an unknown version look the same.
    async fn get_expiring_profile_key_credential(
        &self,
        request: Request<GetExpiringProfileKeyCredentialAnonymousRequest>,
    ) -> Result<Response<GetExpiringProfileKeyCredentialAnonymousResponse>, Status> {
        let AnonymousCall { message, .. } = AnonymousCall::of(request);
        let wanted = message.request.unwrap_or_default();
        let refused =
            || status::violated("credential_request", "cannot be read, or does not verify");
        let aci = ids::aci(wanted.account_identifier)?;
        let key = UnidentifiedAccessKey::try_from(message.unidentified_access_key.to_vec())
            .map_err(|_| status::violated("unidentified_access_key", "must have a size of 16"))?;
        let request = profile::Request::parse(&wanted.credential_request).map_err(|_| refused())?;
        let answer = |outcome| {
            Response::new(GetExpiringProfileKeyCredentialAnonymousResponse {
                response: Some(outcome),
            })
        };
        let version = version(&wanted.version)?;
        let Some(commitment) = self.commitment(aci, version, key).await? else {
            return Ok(answer(Issued::NotFound(NotFound {})));
        };
        let expiration = profile::expiration(self.0.clock.now());
        let issued = self.0.issue(move |keys, rng| {
            profile::issue(&keys.group, &request, aci, &commitment, expiration, rng)
        });
        let issued = issued
            .await
            .map_err(|problem| status::of_problem(&problem))?;
        let result = GetExpiringProfileKeyCredentialResult {
            profile_key_credential: issued.map_err(|_| refused())?.into(),
        };
        Ok(answer(Issued::Result(result)))
    }

    async fn get_avatar_upload_form(
        &self,
        request: Request<GetAvatarUploadFormRequest>,
    ) -> Result<Response<GetAvatarUploadFormResponse>, Status> {
        self.place_picture(AnonymousCall::of(request)).await
    }

    async fn extend_avatar_ttl(
        &self,
        request: Request<ExtendAvatarTtlRequest>,
    ) -> Result<Response<ExtendAvatarTtlResponse>, Status> {
        self.find_picture(AnonymousCall::of(request)).await
    }

    async fn delete_avatar(
        &self,
        request: Request<DeleteAvatarRequest>,
    ) -> Result<Response<DeleteAvatarResponse>, Status> {
        self.remove_picture(AnonymousCall::of(request)).await
    }
}
