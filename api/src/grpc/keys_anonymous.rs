//! `keys.KeysAnonymous`: pre-keys for those who do not say who they are, and whether identity keys are still the same.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | credentials are shown; no identifier, or none that can be |
//! | `GetPreKeys` | 3 | nothing is shown; a malformed token; an access key for a number; no number of a device |
//! | `CheckIdentityKeys` | 3 | a fingerprint that is none: the stream ends with it |
//! | `CheckIdentityKeys` | 14 | the server stops |
//!
//! That there are no such keys, or that what is shown does not open the account, are outcomes.

use commands::keys::take_pre_keys::{TakePreKeys, TakePreKeysRefused};
use events::ServiceId;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future, stream};
use projections::Model;
use sha2::{Digest as _, Sha256};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::access::Shown;
use super::call::{AnonymousCall, at};
use super::proto::errors::{FailedUnidentifiedAuthorization, NotFound};
use super::proto::keys::get_pre_keys_anonymous_request::Authorization;
use super::proto::keys::get_pre_keys_anonymous_response::Response as Outcome;
use super::proto::keys::keys_anonymous_server::KeysAnonymous;
use super::proto::keys::{
    CheckIdentityKeyRequest, CheckIdentityKeyResponse, GetPreKeysAnonymousRequest,
    GetPreKeysAnonymousResponse,
};
use super::{Door, ids, status};

/// Questions of one stream that are being looked up at a time.
const LOOK_UPS: usize = 8;

fn answer(outcome: Outcome) -> GetPreKeysAnonymousResponse {
    GetPreKeysAnonymousResponse {
        response: Some(outcome),
    }
}

fn refusal(refused: TakePreKeysRefused) -> Outcome {
    match refused {
        TakePreKeysRefused::NotFound => Outcome::TargetNotFound(NotFound {}),
        TakePreKeysRefused::Unauthorized => {
            Outcome::FailedUnidentifiedAuthorization(FailedUnidentifiedAuthorization::default())
        }
    }
}

impl Door {
    /// The key that the account has in place of the one that the client knows.
    async fn other_key(
        &self,
        request: CheckIdentityKeyRequest,
    ) -> Result<Option<CheckIdentityKeyResponse>, Status> {
        let target = ids::service_id(request.target_identifier)?;
        let account = self.0.queries.accounts().by_service_id(target).await;
        let account = account.map_err(status::unanswered)?;
        let key = account.and_then(|account| match target {
            ServiceId::Aci(_) => account.identity.aci,
            ServiceId::Pni(_) => account.identity.pni,
        });
        let other =
            key.filter(|key| Sha256::digest(key.as_bytes())[..4] != request.fingerprint[..]);
        Ok(other.map(|key| CheckIdentityKeyResponse {
            target_identifier: Some(ids::identifier(target)),
            identity_key: key.as_bytes().to_vec().into(),
        }))
    }
}

#[tonic::async_trait]
impl KeysAnonymous for Door {
    async fn get_pre_keys(
        &self,
        request: Request<GetPreKeysAnonymousRequest>,
    ) -> Result<Response<GetPreKeysAnonymousResponse>, Status> {
        let call = AnonymousCall::of(request);
        let wanted = call.message.request.unwrap_or_default();
        let (target, device) = wanted.parse()?;
        let shown = match call.message.authorization {
            Some(Authorization::UnidentifiedAccessKey(key)) => Shown::Key(key),
            Some(Authorization::GroupSendToken(token)) => Shown::Token(token),
            Some(Authorization::UnrestrictedAccess(())) => Shown::Nothing,
            None => return Err(status::violated("authorization", "must be set")),
        };
        let Some(caller) = self.caller(shown, target).await? else {
            return Ok(Response::new(answer(refusal(
                TakePreKeysRefused::Unauthorized,
            ))));
        };
        let command = TakePreKeys {
            target,
            device,
            caller,
        };
        let taken = self.0.executor.execute(&command, &call.context).await;
        match status::decided(taken)? {
            Ok(taken) => {
                let position = self.0.settled(&taken, &[Model::PreKeys]).await;
                let bundles = self.bundles(target, taken.done).await?;
                Ok(at(position, answer(Outcome::PreKeys(bundles))))
            }
            Err(refused) => Ok(Response::new(answer(refusal(refused)))),
        }
    }

    async fn check_identity_keys(
        &self,
        request: Request<Streaming<CheckIdentityKeyRequest>>,
    ) -> Result<Response<BoxStream<CheckIdentityKeyResponse>>, Status> {
        let (door, shutdown) = (self.clone(), self.0.shutdown.token.clone());
        let questions = request.into_inner().map_err(status::of_framework);
        let answers = questions
            .map_ok(move |question| {
                let door = door.clone();
                async move { door.other_key(question).await }
            })
            .try_buffer_unordered(LOOK_UPS)
            .try_filter_map(future::ok);
        let stopping = async move { shutdown.cancelled_owned().await }
            .map(|()| Err(status::unavailable("the server stops")));
        // Whichever comes first ends the stream.
        let ending = stream::once(stopping).boxed();
        let answers = answers.map(Some).chain(stream::once(future::ready(None)));
        let both = stream::select(answers, ending.map(Some));
        let until_error = both
            .take_while(|answer| future::ready(answer.is_some()))
            .filter_map(future::ready)
            .scan(false, |failed, answer| {
                let go_on = !std::mem::replace(failed, answer.is_err());
                future::ready(go_on.then_some(answer))
            });
        Ok(Response::new(until_error.boxed()))
    }
}
