//! `keys.Keys`: a device's own pre-keys, and those of others.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the device is gone |
//! | `GetPreKeys` | 8 | too many of one target |
//! | `GetPreKeys` | 3 | no identifier, or none that can be; no number of a device |
//! | `Set…` | 3 | another identity; no key, more than 100 of them, a bad one, a signature that does not fit; no number |
//!
//! That there are no such keys is an outcome of `GetPreKeys`.

use commands::account::Caller;
use commands::keys::set_keys::{SetKeys, SetKeysRefused};
use commands::keys::take_pre_keys::{TakePreKeys, TakePreKeysRefused};
use events::ids::{DeviceAddress, IdentityKind};
use events::{DeviceId, ServiceId};
use projections::Model;
use projections::pre_keys::PreKeyCounts;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::pre_keys::bad_signature;
use super::proto::common::IdentityType;
use super::proto::errors::NotFound;
use super::proto::keys::get_pre_keys_response::Response as Outcome;
use super::proto::keys::keys_server::Keys;
use super::proto::keys::{
    GetPreKeyCountRequest, GetPreKeyCountResponse, GetPreKeysRequest, GetPreKeysResponse,
    SetEcSignedPreKeyRequest, SetKemLastResortPreKeyRequest, SetOneTimeEcPreKeysRequest,
    SetOneTimeKemSignedPreKeysRequest, SetPreKeyResponse,
};
use super::{Door, ids, status};
use crate::http::keys::take::bucket;
use crate::limits::rates::Limit;

impl GetPreKeysRequest {
    /// Whose keys, and of which device; of all if that is not said.
    pub(super) fn parse(self) -> Result<(ServiceId, Option<DeviceId>), Status> {
        let target = ids::service_id(self.target_identifier)?;
        Ok((target, self.device_id.map(ids::device).transpose()?))
    }
}

fn identity(number: i32) -> Result<IdentityKind, Status> {
    match IdentityType::try_from(number) {
        Ok(IdentityType::Aci) => Ok(IdentityKind::Aci),
        Ok(IdentityType::Pni) => Ok(IdentityKind::Pni),
        Ok(IdentityType::Unspecified) | Err(_) => {
            Err(status::violated("identity_type", "must be specified"))
        }
    }
}

/// An upload of nothing.
fn nothing(caller: DeviceAddress, identity_type: i32) -> Result<SetKeys, Status> {
    Ok(SetKeys {
        aci: caller.aci,
        device: caller.device,
        identity: identity(identity_type)?,
        identity_key: None,
        one_time: Vec::new(),
        one_time_kyber: Vec::new(),
        signed: None,
        last_resort: None,
    })
}

fn each<W, K: TryFrom<W, Error = Status>>(keys: Vec<W>) -> Result<Vec<K>, Status> {
    keys.into_iter().map(K::try_from).collect()
}

fn refusal(refused: SetKeysRefused) -> Status {
    match refused {
        SetKeysRefused::NoSuchDevice => status::invalid_credentials(),
        SetKeysRefused::NoIdentityKey | SetKeysRefused::OtherIdentityKey => {
            status::constraint("the account has no such identity")
        }
        SetKeysRefused::InvalidSignature => bad_signature(),
    }
}

impl Door {
    async fn set<T>(
        &self,
        call: DeviceCall<T>,
        command: SetKeys,
    ) -> Result<Response<SetPreKeyResponse>, Status> {
        let set = self.0.executor.execute(&command, &call.context).await;
        let set = status::decided(set)?.map_err(refusal)?;
        let position = self
            .0
            .settled(&set, &[Model::PreKeys, Model::Accounts])
            .await;
        Ok(at(position, SetPreKeyResponse {}))
    }

    async fn count(
        &self,
        identity: ServiceId,
        device: DeviceAddress,
    ) -> Result<PreKeyCounts, Status> {
        let counts = self
            .0
            .queries
            .pre_keys()
            .counts(identity, device.device, device.generation)
            .await;
        counts.map_err(status::unanswered)
    }
}

#[tonic::async_trait]
impl Keys for Door {
    async fn get_pre_key_count(
        &self,
        request: Request<GetPreKeyCountRequest>,
    ) -> Result<Response<GetPreKeyCountResponse>, Status> {
        let DeviceCall { caller, .. } = DeviceCall::of(request);
        let account = self.own_account(caller.aci).await?;
        let aci = self.count(caller.aci.into(), caller).await?;
        let pni = self.count(account.pni.into(), caller).await?;
        Ok(Response::new(GetPreKeyCountResponse {
            aci_ec_pre_key_count: aci.ec,
            aci_kem_pre_key_count: aci.kyber,
            pni_ec_pre_key_count: pni.ec,
            pni_kem_pre_key_count: pni.kyber,
        }))
    }

    async fn get_pre_keys(
        &self,
        request: Request<GetPreKeysRequest>,
    ) -> Result<Response<GetPreKeysResponse>, Status> {
        let call = DeviceCall::of(request);
        let (target, device) = call.message.parse()?;
        let bucket = bucket(&self.0, call.caller, target, device).await;
        if let Some(bucket) = bucket.map_err(status::unanswered)? {
            self.count_by(Limit::PreKeys, &bucket).await?;
        }
        let command = TakePreKeys {
            target,
            device,
            caller: Caller::Device(call.caller.aci, call.caller.device),
        };
        let taken = self.0.executor.execute(&command, &call.context).await;
        match status::decided(taken)? {
            Ok(taken) => {
                let position = self.0.settled(&taken, &[Model::PreKeys]).await;
                let keys = Outcome::PreKeys(self.bundles(target, taken.done).await?);
                Ok(at(
                    position,
                    GetPreKeysResponse {
                        response: Some(keys),
                    },
                ))
            }
            // Who shows a password is not asked for a key.
            Err(TakePreKeysRefused::NotFound | TakePreKeysRefused::Unauthorized) => {
                let outcome = Outcome::TargetNotFound(NotFound {});
                Ok(Response::new(GetPreKeysResponse {
                    response: Some(outcome),
                }))
            }
        }
    }

    async fn set_one_time_ec_pre_keys(
        &self,
        request: Request<SetOneTimeEcPreKeysRequest>,
    ) -> Result<Response<SetPreKeyResponse>, Status> {
        let mut call = DeviceCall::of(request);
        let one_time = each(std::mem::take(&mut call.message.pre_keys))?;
        let nothing = nothing(call.caller, call.message.identity_type)?;
        self.set(
            call,
            SetKeys {
                one_time,
                ..nothing
            },
        )
        .await
    }

    async fn set_one_time_kem_signed_pre_keys(
        &self,
        request: Request<SetOneTimeKemSignedPreKeysRequest>,
    ) -> Result<Response<SetPreKeyResponse>, Status> {
        let mut call = DeviceCall::of(request);
        let one_time_kyber = each(std::mem::take(&mut call.message.pre_keys))?;
        let nothing = nothing(call.caller, call.message.identity_type)?;
        self.set(
            call,
            SetKeys {
                one_time_kyber,
                ..nothing
            },
        )
        .await
    }

    async fn set_ec_signed_pre_key(
        &self,
        request: Request<SetEcSignedPreKeyRequest>,
    ) -> Result<Response<SetPreKeyResponse>, Status> {
        let mut call = DeviceCall::of(request);
        let signed = call.message.signed_pre_key.take();
        let signed = signed.map(TryInto::try_into).transpose()?;
        let nothing = nothing(call.caller, call.message.identity_type)?;
        self.set(call, SetKeys { signed, ..nothing }).await
    }

    async fn set_kem_last_resort_pre_key(
        &self,
        request: Request<SetKemLastResortPreKeyRequest>,
    ) -> Result<Response<SetPreKeyResponse>, Status> {
        let mut call = DeviceCall::of(request);
        let last_resort = call.message.signed_pre_key.take();
        let last_resort = last_resort.map(TryInto::try_into).transpose()?;
        let nothing = nothing(call.caller, call.message.identity_type)?;
        self.set(
            call,
            SetKeys {
                last_resort,
                ..nothing
            },
        )
        .await
    }
}
