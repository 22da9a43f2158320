//! The part of `account.Accounts` that is about keys for one-time passwords. That there are too many of them, that a
//! password is wrong, or that there is no such key, are outcomes; 16 if the account is gone.

use bytes::Bytes;
use commands::totp::change_metadata::SetTotpKeyMetadataRefused;
use commands::totp::confirm_key::ConfirmTotpKeyRefused;
use commands::totp::generate_key::GenerateTotpKeyRefused;
use commands::totp::{ConfirmTotpKey, GenerateTotpKey, RemoveTotpKey, SetTotpKeyMetadata};
use crypto::totp::{DIGITS, STEP};
use events::values::totp::{TotpKeyId, TotpMetadata, TotpSecret};
use projections::Model;
use tonic::{Response, Status};

use super::call::{DeviceCall, at};
use super::proto::account::confirm_totp_key_response::Response as Confirmation;
use super::proto::account::generate_totp_key_response::Response as Generated;
use super::proto::account::set_totp_key_metadata_response::Response as Noted;
use super::proto::account::{
    ConfirmTotpKeyRequest, ConfirmTotpKeyResponse, GenerateTotpKeyRequest, GenerateTotpKeyResponse,
    KeyConfirmed, KeyGenerated, ListTotpKeysRequest, ListTotpKeysResponse, MetadataUpdated,
    RemoveTotpKeyRequest, RemoveTotpKeyResponse, SetTotpKeyMetadataRequest,
    SetTotpKeyMetadataResponse, TotpKeyMetadata, TotpParameters,
};
use super::proto::errors::{FailedPrecondition, NotFound};
use super::{Door, status};

/// How passwords come out of keys. All keys are alike.
fn parameters() -> TotpParameters {
    TotpParameters {
        algorithm: "HmacSHA256".to_owned(),
        password_length: DIGITS,
        time_step_seconds: u32::try_from(STEP.as_secs()).unwrap_or(u32::MAX),
    }
}

fn metadata(bytes: &Bytes) -> Result<TotpMetadata, Status> {
    TotpMetadata::try_from(bytes.to_vec())
        .map_err(|_| status::violated("metadata_ciphertext", "must have a size of 160"))
}

impl Door {
    pub(super) async fn generate_totp(
        &self,
        call: DeviceCall<GenerateTotpKeyRequest>,
    ) -> Result<Response<GenerateTotpKeyResponse>, Status> {
        let command = GenerateTotpKey {
            aci: call.caller.aci,
            secret: TotpSecret(self.0.entropy.bytes()),
        };
        let answer = |outcome| GenerateTotpKeyResponse {
            response: Some(outcome),
        };
        let generated = self.0.executor.execute(&command, &call.context).await;
        match status::decided(generated)? {
            Ok(generated) => {
                let position = self.0.settled(&generated, &[]).await;
                let key = KeyGenerated {
                    key: Bytes::copy_from_slice(command.secret.as_ref()),
                    totp_parameters: Some(parameters()),
                };
                Ok(at(position, answer(Generated::KeyGenerated(key))))
            }
            Err(GenerateTotpKeyRefused::TooMany) => {
                let outcome = Generated::TooManyTotpKeys(FailedPrecondition::default());
                Ok(Response::new(answer(outcome)))
            }
            Err(GenerateTotpKeyRefused::NoSuchAccount) => Err(status::invalid_credentials()),
        }
    }

    pub(super) async fn confirm_totp(
        &self,
        call: DeviceCall<ConfirmTotpKeyRequest>,
    ) -> Result<Response<ConfirmTotpKeyResponse>, Status> {
        let command = ConfirmTotpKey {
            aci: call.caller.aci,
            password: call.message.one_time_password,
            metadata: metadata(&call.message.metadata_ciphertext)?,
        };
        let answer = |outcome| ConfirmTotpKeyResponse {
            response: Some(outcome),
        };
        let confirmed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(confirmed)? {
            Ok(confirmed) => {
                let position = self.0.settled(&confirmed, &[Model::Accounts]).await;
                let TotpKeyId(key_id) = confirmed.done;
                let outcome = Confirmation::KeyConfirmed(KeyConfirmed { key_id });
                Ok(at(position, answer(outcome)))
            }
            Err(ConfirmTotpKeyRefused::WrongPassword) => Ok(Response::new(answer(
                Confirmation::OneTimePasswordNotVerified(FailedPrecondition::default()),
            ))),
        }
    }

    pub(super) async fn list_totp(
        &self,
        call: DeviceCall<ListTotpKeysRequest>,
    ) -> Result<Response<ListTotpKeysResponse>, Status> {
        let account = self.own_account(call.caller.aci).await?;
        let key = |(id, metadata): (TotpKeyId, Option<TotpMetadata>)| {
            let metadata = metadata.map(|noted| Bytes::copy_from_slice(noted.as_ref()));
            let key = TotpKeyMetadata {
                metadata_ciphertext: metadata.unwrap_or_default(),
                totp_parameters: Some(parameters()),
            };
            Some((i32::try_from(id.0).ok()?, key))
        };
        Ok(Response::new(ListTotpKeysResponse {
            keys: account.totp_keys.into_iter().filter_map(key).collect(),
        }))
    }

    pub(super) async fn note_on_totp(
        &self,
        call: DeviceCall<SetTotpKeyMetadataRequest>,
    ) -> Result<Response<SetTotpKeyMetadataResponse>, Status> {
        let command = SetTotpKeyMetadata {
            aci: call.caller.aci,
            key_id: TotpKeyId(call.message.key_id),
            metadata: metadata(&call.message.metadata_ciphertext)?,
        };
        let answer = |outcome| SetTotpKeyMetadataResponse {
            response: Some(outcome),
        };
        let set = self.0.executor.execute(&command, &call.context).await;
        match status::decided(set)? {
            Ok(set) => {
                let position = self.0.settled(&set, &[Model::Accounts]).await;
                Ok(at(
                    position,
                    answer(Noted::MetadataUpdated(MetadataUpdated {})),
                ))
            }
            Err(SetTotpKeyMetadataRefused::NoSuchKey) => {
                Ok(Response::new(answer(Noted::KeyNotFound(NotFound {}))))
            }
        }
    }

    pub(super) async fn remove_totp(
        &self,
        call: DeviceCall<RemoveTotpKeyRequest>,
    ) -> Result<Response<RemoveTotpKeyResponse>, Status> {
        let command = RemoveTotpKey {
            aci: call.caller.aci,
            key_id: TotpKeyId(call.message.key_id),
        };
        let removed = self.0.executor.execute(&command, &call.context).await;
        let removed = status::decided(removed)?.unwrap_or_else(|never| match never {});
        let position = self.0.settled(&removed, &[Model::Accounts]).await;
        Ok(at(position, RemoveTotpKeyResponse {}))
    }
}
