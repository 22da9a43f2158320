//! The part of `account.Accounts` and `profile.Profile` that is about credentials for pictures: they are bound to a key of the
//! account, and show nobody whose they are.
//!
//! | call | status | when |
//! |---|---|---|
//! | both | 16 | the account is gone |
//! | `SetZkCredentialKey` | 3 | no key |
//! | `SetZkCredentialKey` | 8 | too many new keys |
//! | `GetAvatarCredentials` | 3 | a request that cannot be read, or is not for the account's key |
//!
//! That the account has no key is an outcome.

use commands::account::set_zk_credential_key::{SetZkCredentialKey, SetZkCredentialKeyRefused};
use crypto::zk::Day;
use crypto::zk::avatar::{self, CredentialPublicKey};
use events::values::profile::ZkCredentialKey;
use projections::Model;
use tonic::{Response, Status};

use super::call::{DeviceCall, at};
use super::proto::account::{SetZkCredentialKeyRequest, SetZkCredentialKeyResponse};
use super::proto::errors::FailedPrecondition;
use super::proto::profile::get_avatar_credentials_response::Response as Issued;
use super::proto::profile::{GetAvatarCredentialsRequest, GetAvatarCredentialsResponse};
use super::{Door, status};
use crate::limits::rates::Limit;

/// What tells credentials for one key from those for another: 1 to 2⁶³ − 2.
fn rotation_id(random: [u8; 8]) -> u64 {
    u64::from_le_bytes(random) % (u64::MAX / 2 - 1) + 1
}

impl Door {
    /// The key that the account has already is not counted.
    pub(super) async fn set_credential_key(
        &self,
        call: DeviceCall<SetZkCredentialKeyRequest>,
    ) -> Result<Response<SetZkCredentialKeyResponse>, Status> {
        let bytes = &call.message.public_key;
        let malformed = || status::violated("public_key", "must be a key for credentials");
        CredentialPublicKey::parse(bytes).map_err(|_| malformed())?;
        let key = ZkCredentialKey::try_from(bytes.to_vec()).map_err(|_| malformed())?;
        let account = self.own_account(call.caller.aci).await?;
        let known = account.zk_credential;
        if known.is_none_or(|(known, _)| known != key) {
            self.count_by_account(Limit::SetZkCredentialKey, &call)
                .await?;
        }
        let command = SetZkCredentialKey {
            aci: call.caller.aci,
            key,
            fresh_rotation_id: rotation_id(self.0.entropy.bytes()),
        };
        let set = self.0.executor.execute(&command, &call.context).await;
        match status::decided(set)? {
            Ok(set) => {
                let position = self.0.settled(&set, &[Model::Accounts]).await;
                let rotation_id = set.done;
                Ok(at(position, SetZkCredentialKeyResponse { rotation_id }))
            }
            Err(SetZkCredentialKeyRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }

    pub(super) async fn avatar_credentials(
        &self,
        call: DeviceCall<GetAvatarCredentialsRequest>,
    ) -> Result<Response<GetAvatarCredentialsResponse>, Status> {
        let refused = || {
            let field = "avatar_credentials_request";
            status::violated(field, "cannot be read, or does not verify")
        };
        let answer = |outcome| {
            Response::new(GetAvatarCredentialsResponse {
                response: Some(outcome),
            })
        };
        let request = avatar::Request::parse(&call.message.avatar_credentials_request)
            .map_err(|_| refused())?;
        let aci = call.caller.aci;
        let Some((key, rotation_id)) = self.own_account(aci).await?.zk_credential else {
            let missing = Issued::MissingZkCredentialKey(FailedPrecondition::default());
            return Ok(answer(missing));
        };
        let key =
            CredentialPublicKey::parse(key.as_ref()).map_err(|error| status::failed(&error))?;
        let today = Day::of(self.0.clock.now());
        let issued = self.0.issue(move |keys, rng| {
            avatar::issue(&keys.chat, &request, (aci, rotation_id, &key), today, rng)
        });
        let issued = issued
            .await
            .map_err(|problem| status::of_problem(&problem))?;
        let credentials = issued.map_err(|_| refused())?;
        Ok(answer(Issued::AvatarCredentials(credentials.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_ids_are_never_0_and_fit_a_signed_number() {
        assert_eq!(rotation_id([0; 8]), 1);
        for start in [u64::MAX, u64::MAX / 2, u64::MAX / 2 - 1, u64::MAX / 2 - 2] {
            let id = rotation_id(start.to_le_bytes());
            assert!((1..=u64::MAX / 2 - 1).contains(&id), "{id}");
        }
    }
}
