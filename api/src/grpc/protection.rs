//! The part of `account.Accounts` that is about who reaches the account, and what protects it. 16 if it is gone.

use bytes::Bytes;
use commands::account::change_access::{AccessChange, ChangeAccess, ChangeAccessRefused};
use commands::account::change_protection::{
    ChangeProtection, ChangeProtectionRefused, ProtectionChange,
};
use crypto::token_hash;
use events::values::hashes::UnidentifiedAccessKey;
use projections::Model;
use tonic::Status;

use super::call::DeviceCall;
use super::proto::account::ConfigureUnidentifiedAccessRequest;
use super::proto::account::configure_unidentified_access_request::Configuration;
use super::{Door, status};
use crate::state::EventPosition;

impl ConfigureUnidentifiedAccessRequest {
    /// What is to be different.
    pub(super) fn parse(self) -> Result<AccessChange, Status> {
        match self.configuration {
            Some(Configuration::UnidentifiedAccessKey(key)) => {
                let key = UnidentifiedAccessKey::try_from(key.to_vec());
                key.map(AccessChange::Key).map_err(|_| {
                    status::violated("unidentified_access_key", "must have a size of 16")
                })
            }
            Some(Configuration::AllowUnrestrictedUnidentifiedAccess(())) => {
                Ok(AccessChange::Unrestricted)
            }
            None => Err(status::violated("configuration", "must be set")),
        }
    }
}

impl Door {
    /// Hashes a registration lock: what REST clients send is the text of these bytes in hex.
    pub(super) fn lock(&self, bytes: &Bytes) -> ProtectionChange {
        let text = hex::encode(bytes);
        ProtectionChange::RegistrationLock(token_hash::hash(&text, self.0.entropy.bytes()))
    }

    /// Hashes a recovery password.
    pub(super) fn recovery_password(&self, bytes: &Bytes) -> ProtectionChange {
        let hash = token_hash::hash_bytes(bytes, self.0.entropy.bytes());
        ProtectionChange::RecoveryPassword(hash)
    }

    pub(super) async fn change_access<T>(
        &self,
        call: &DeviceCall<T>,
        change: AccessChange,
    ) -> Result<EventPosition, Status> {
        let command = ChangeAccess {
            aci: call.caller.aci,
            change,
        };
        let changed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(changed)? {
            Ok(changed) => Ok(self.0.settled(&changed, &[Model::Accounts]).await),
            Err(ChangeAccessRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }

    pub(super) async fn change_protection<T>(
        &self,
        call: &DeviceCall<T>,
        change: ProtectionChange,
    ) -> Result<EventPosition, Status> {
        let command = ChangeProtection {
            aci: call.caller.aci,
            change,
        };
        let changed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(changed)? {
            Ok(changed) => Ok(self.0.settled(&changed, &[]).await),
            Err(ChangeProtectionRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }
}
