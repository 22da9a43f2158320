//! The part of `account.Accounts` that is about usernames.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | the account is gone |
//! | all but `DeleteUsernameHash` | 8 | too many calls of an account |
//! | `ConfirmUsernameHash` | 3 | a proof that does not hold |
//!
//! That others have the names, or that nothing was reserved, are outcomes.

use bytes::Bytes;
use commands::username::change_link::SetUsernameLinkRefused;
use commands::username::confirm_username::{
    ConfirmUsername, ConfirmUsernameRefused, ProvedUsername, Reservation,
};
use commands::username::reserve_username::{ReserveUsername, ReserveUsernameRefused};
use commands::username::{DeleteUsernameLink, DropUsername, SetUsernameLink};
use events::LinkHandle;
use events::values::username::{EncryptedUsername, UsernameHash};
use projections::Model;
use tonic::{Response, Status};

use super::call::{DeviceCall, at};
use super::proto::account::confirm_username_hash_response::Response as Confirmation;
use super::proto::account::reserve_username_hash_response::Response as Reserved;
use super::proto::account::set_username_link_response::Response as Linked;
use super::proto::account::{
    ConfirmUsernameHashRequest, ConfirmUsernameHashResponse, ConfirmedUsernameHash,
    DeleteUsernameHashRequest, DeleteUsernameHashResponse, DeleteUsernameLinkRequest,
    DeleteUsernameLinkResponse, ReserveUsernameHashRequest, ReserveUsernameHashResponse,
    SetUsernameLinkRequest, SetUsernameLinkResponse, UsernameNotAvailable,
};
use super::proto::errors::FailedPrecondition;
use super::{Door, status};
use crate::limits::rates::Limit;

/// The hash in a message.
pub(super) fn hash(bytes: &Bytes) -> Result<UsernameHash, Status> {
    UsernameHash::try_from(bytes.to_vec())
        .map_err(|_| status::violated("username_hash", "must have a size of 32"))
}

fn encrypted(bytes: &Bytes) -> Result<EncryptedUsername, Status> {
    EncryptedUsername::try_from(bytes.to_vec())
        .map_err(|_| status::violated("username_ciphertext", "must have a size between 1 and 128"))
}

/// Where a link stands, as messages hold it.
pub(super) fn handle(handle: LinkHandle) -> Bytes {
    Bytes::copy_from_slice(handle.as_bytes())
}

impl Door {
    pub(super) async fn reserve_username(
        &self,
        call: DeviceCall<ReserveUsernameHashRequest>,
    ) -> Result<Response<ReserveUsernameHashResponse>, Status> {
        self.count_by_account(Limit::UsernameReserve, &call).await?;
        let candidates: Result<_, Status> = call.message.username_hashes.iter().map(hash).collect();
        let command = ReserveUsername {
            aci: call.caller.aci,
            candidates: candidates?,
        };
        let answer = |outcome| ReserveUsernameHashResponse {
            response: Some(outcome),
        };
        let reserved = self.0.executor.execute(&command, &call.context).await;
        match status::decided(reserved)? {
            Ok(reserved) => {
                let position = self.0.settled(&reserved, &[]).await;
                let hash = Bytes::copy_from_slice(reserved.done.as_ref());
                Ok(at(position, answer(Reserved::UsernameHash(hash))))
            }
            Err(ReserveUsernameRefused::AllTaken) => {
                let outcome = Reserved::UsernameNotAvailable(UsernameNotAvailable {});
                Ok(Response::new(answer(outcome)))
            }
            Err(ReserveUsernameRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }

    pub(super) async fn confirm_username(
        &self,
        call: DeviceCall<ConfirmUsernameHashRequest>,
    ) -> Result<Response<ConfirmUsernameHashResponse>, Status> {
        let request = &call.message;
        let proved = ProvedUsername::check(hash(&request.username_hash)?, &request.zk_proof);
        let proved = proved
            .map_err(|_| status::violated("zk_proof", "must prove the knowledge of the name"))?;
        self.count_by_account(Limit::UsernameSet, &call).await?;
        let command = ConfirmUsername {
            aci: call.caller.aci,
            username: proved,
            encrypted: Some(encrypted(&request.username_ciphertext)?),
            fresh_handle: LinkHandle::from_random(self.0.entropy.bytes()),
            reservation: Reservation::Needed,
        };
        let answer = |outcome| ConfirmUsernameHashResponse {
            response: Some(outcome),
        };
        let confirmed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(confirmed)? {
            Ok(confirmed) => {
                let position = self.0.settled(&confirmed, &[Model::Accounts]).await;
                let outcome = Confirmation::ConfirmedUsernameHash(ConfirmedUsernameHash {
                    username_link_handle: confirmed.done.handle.map(handle).unwrap_or_default(),
                });
                Ok(at(position, answer(outcome)))
            }
            Err(ConfirmUsernameRefused::NotReserved) => Ok(Response::new(answer(
                Confirmation::ReservationNotFound(FailedPrecondition::default()),
            ))),
            Err(ConfirmUsernameRefused::Taken | ConfirmUsernameRefused::ReservationOver) => {
                let outcome = Confirmation::UsernameNotAvailable(UsernameNotAvailable {});
                Ok(Response::new(answer(outcome)))
            }
            Err(ConfirmUsernameRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }

    pub(super) async fn drop_username(
        &self,
        call: DeviceCall<DeleteUsernameHashRequest>,
    ) -> Result<Response<DeleteUsernameHashResponse>, Status> {
        let command = DropUsername {
            aci: call.caller.aci,
        };
        let dropped = self.0.executor.execute(&command, &call.context).await;
        let dropped = status::decided(dropped)?.unwrap_or_else(|never| match never {});
        let position = self.0.settled(&dropped, &[Model::Accounts]).await;
        Ok(at(position, DeleteUsernameHashResponse {}))
    }

    pub(super) async fn set_link(
        &self,
        call: DeviceCall<SetUsernameLinkRequest>,
    ) -> Result<Response<SetUsernameLinkResponse>, Status> {
        self.count_by_account(Limit::UsernameLinkOperation, &call)
            .await?;
        let command = SetUsernameLink {
            aci: call.caller.aci,
            encrypted: encrypted(&call.message.username_ciphertext)?,
            keep_handle: call.message.keep_link_handle,
            fresh_handle: LinkHandle::from_random(self.0.entropy.bytes()),
        };
        let answer = |outcome| SetUsernameLinkResponse {
            response: Some(outcome),
        };
        let set = self.0.executor.execute(&command, &call.context).await;
        match status::decided(set)? {
            Ok(set) => {
                let position = self.0.settled(&set, &[Model::Accounts]).await;
                let outcome = Linked::UsernameLinkHandle(handle(set.done));
                Ok(at(position, answer(outcome)))
            }
            Err(SetUsernameLinkRefused::NoUsername) => {
                let outcome = Linked::NoUsernameSet(FailedPrecondition::default());
                Ok(Response::new(answer(outcome)))
            }
        }
    }

    pub(super) async fn delete_link(
        &self,
        call: DeviceCall<DeleteUsernameLinkRequest>,
    ) -> Result<Response<DeleteUsernameLinkResponse>, Status> {
        self.count_by_account(Limit::UsernameLinkOperation, &call)
            .await?;
        let command = DeleteUsernameLink {
            aci: call.caller.aci,
        };
        let deleted = self.0.executor.execute(&command, &call.context).await;
        let deleted = status::decided(deleted)?.unwrap_or_else(|never| match never {});
        let position = self.0.settled(&deleted, &[Model::Accounts]).await;
        Ok(at(position, DeleteUsernameLinkResponse {}))
    }
}
