//! `Accounts/ChangeNumber`: the account moves to another number, or gets new keys for the one that it has.
//!
//! | status | when |
//! |---|---|
//! | 3 | a linked device asks (`BAD_AUTHENTICATION`) |
//! | 3 | a field breaks its rule; a key or a signature that does not fit; another number without a proof |
//! | 8 | too soon after the registration; too many attempts at the number or its registration lock |
//! | 16 | no or wrong credentials; the device is gone |
//!
//! That devices are others, that the number is not proved, or that its holder's registration lock is closed, are outcomes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use commands::message::send_message::DeviceMessage;
use commands::number::change_number::{ChangeNumberRefused, HolderRule, Moved, ProofOffered};
use commands::number::{ChangeNumber, NewPniKeys};
use commands::ports::TooManyTrials;
use commands::registration::{Locked, NumberProof, Unproved};
use events::ids::DeviceAddress;
use events::values::Redacted;
use events::{DeviceId, E164, RegistrationId, SessionId};
use projections::Model;
use tonic::{Response, Status};
use uuid::Uuid;

use super::call::{DeviceCall, at};
use super::proto::account::change_number_request::Verification;
use super::proto::account::change_number_response::Response as Outcome;
use super::proto::account::{
    ChangeNumberRequest, ChangeNumberResponse, ExternalServiceCredentials, RegistrationLockFailure,
    StaleDevices,
};
use super::proto::common::AccountIdentifiers;
use super::proto::errors::FailedPrecondition;
use super::proto::messages::MismatchedDevices;
use super::sending::device_message;
use super::usernames::handle;
use super::{Door, ids, status};
use crate::http::registration::proof::lock_failed;
use crate::limits::trials::CountedTrials;

/// Values for devices, checked as they are parsed.
fn by_device<W, K>(
    field: &'static str,
    values: HashMap<u32, W>,
    parse: impl Fn(W) -> Option<K>,
) -> Result<BTreeMap<DeviceId, K>, Status> {
    let refused = || status::violated(field, "must hold what devices can have");
    let one = |(device, value)| {
        let device = DeviceId::try_from(device).map_err(|_| refused())?;
        Ok((device, parse(value).ok_or_else(refused)?))
    };
    values.into_iter().map(one).collect()
}

/// What is offered as a proof; nothing for a session that cannot be one.
fn proof(verification: Option<Verification>) -> Option<ProofOffered> {
    Some(match verification {
        None => ProofOffered::Missing,
        Some(Verification::SessionId(id)) => {
            let id = Uuid::from_slice(&id).ok()?;
            ProofOffered::Proof(NumberProof::Session(SessionId::from_uuid(id)))
        }
        Some(Verification::RecoveryPassword(password)) => {
            let password = Redacted(password.to_vec().into());
            ProofOffered::Proof(NumberProof::RecoveryPassword(password))
        }
    })
}

fn failed(outcome: impl FnOnce(FailedPrecondition) -> Outcome) -> Outcome {
    outcome(FailedPrecondition::default())
}

impl Door {
    fn change_of_number(
        &self,
        caller: DeviceAddress,
        proof: ProofOffered,
        request: ChangeNumberRequest,
        trials: Arc<CountedTrials>,
    ) -> Result<ChangeNumber, Status> {
        let number: E164 = request
            .number
            .parse()
            .map_err(|_| status::violated("number", "must be a phone number"))?;
        let identity_key = request.pni_identity_key[..]
            .try_into()
            .map_err(|_| status::violated("pni_identity_key", "must be a key"))?;
        let keys = NewPniKeys {
            signed: by_device(
                "device_pni_signed_pre_keys",
                request.device_pni_signed_pre_keys,
                |key| key.try_into().ok(),
            )?,
            last_resort: by_device(
                "device_pni_pq_last_resort_pre_keys",
                request.device_pni_pq_last_resort_pre_keys,
                |key| key.try_into().ok(),
            )?,
            registration_ids: by_device(
                "pni_registration_ids",
                request.pni_registration_ids,
                |id| RegistrationId::try_from(id).ok(),
            )?,
        };
        let bundle = request.device_messages.unwrap_or_default();
        let parse = |(device, message)| device_message(self, device, message, false);
        let messages: Result<Vec<DeviceMessage>, Status> =
            bundle.messages.into_iter().map(parse).collect();
        let lock = request.registration_lock;
        Ok(ChangeNumber {
            aci: caller.aci,
            caller: caller.device,
            pni: self.0.pnis.pni_of(&number),
            number,
            proof,
            // What REST clients send is the text of these bytes in hex.
            lock_offered: (!lock.is_empty()).then(|| Redacted(hex::encode(lock).into())),
            holder: HolderRule::Displace,
            identity_key: Some(identity_key),
            keys: Some(keys),
            messages: messages?,
            waiting_period: self.0.config.number_waiting_period,
            policy: self.0.config.verification.clone(),
            trials,
        })
    }

    pub(super) async fn move_to_number(
        &self,
        call: DeviceCall<ChangeNumberRequest>,
    ) -> Result<Response<ChangeNumberResponse>, Status> {
        let answer = |outcome| ChangeNumberResponse {
            response: Some(outcome),
        };
        if !call.caller.device.is_primary() {
            return Err(not_primary());
        }
        let mut request = call.message;
        let Some(proof) = proof(request.verification.take()) else {
            let outcome = failed(Outcome::InvalidRegistrationSession);
            return Ok(Response::new(answer(outcome)));
        };
        let trials = self.0.trials();
        let command = self.change_of_number(call.caller, proof, request, trials.clone())?;
        let moved = self.0.executor.execute(&command, &call.context).await;
        match status::decided(moved)? {
            Ok(moved) => {
                trials.lock_opened(&command.number).await;
                let models = [Model::Accounts, Model::Devices, Model::PreKeys];
                let position = self.0.settled(&moved, &models).await;
                let identity = identifiers(&moved.done, &command.number);
                Ok(at(position, answer(Outcome::AccountIdentifiers(identity))))
            }
            Err(refused) => {
                if let ChangeNumberRefused::RegistrationLock(lock) = refused {
                    lock_failed(&self.0, lock.aci).await;
                }
                let outcome = self.not_moved(&command, refused)?;
                Ok(Response::new(answer(outcome)))
            }
        }
    }

    fn not_moved(
        &self,
        command: &ChangeNumber,
        refused: ChangeNumberRefused,
    ) -> Result<Outcome, Status> {
        Ok(match refused {
            ChangeNumberRefused::NoSuchDevice => return Err(status::invalid_credentials()),
            ChangeNumberRefused::NotPrimary => return Err(not_primary()),
            ChangeNumberRefused::InvalidSignature => {
                return Err(status::violated(
                    "device_pni_signed_pre_keys",
                    "must be signed by the identity key",
                ));
            }
            ChangeNumberRefused::TooSoon { retry_after }
            | ChangeNumberRefused::TooManyTrials(TooManyTrials { retry_after }) => {
                return Err(status::exhausted(Some(retry_after)));
            }
            ChangeNumberRefused::ProofMissing | ChangeNumberRefused::InUse => {
                return Err(status::constraint("a proof of the number is needed"));
            }
            ChangeNumberRefused::Unproved(Unproved::SessionUnknown | Unproved::NotVerified) => {
                failed(Outcome::UnverifiedRegistrationSession)
            }
            ChangeNumberRefused::Unproved(Unproved::NumberMismatch) => {
                failed(Outcome::InvalidRegistrationSession)
            }
            ChangeNumberRefused::Unproved(Unproved::RecoveryPasswordRejected) => {
                failed(Outcome::RecoveryPasswordVerificationFailed)
            }
            ChangeNumberRefused::RegistrationLock(lock) => {
                Outcome::RegistrationLockFailure(self.lock_failure(&lock))
            }
            ChangeNumberRefused::MismatchedDevices { missing, extra } => {
                Outcome::MismatchedDevices(MismatchedDevices {
                    service_identifier: Some(ids::identifier(command.aci)),
                    missing_devices: ids::numbers(missing),
                    extra_devices: ids::numbers(extra),
                    stale_devices: Vec::new(),
                })
            }
            ChangeNumberRefused::StaleDevices { devices } => Outcome::StaleDevices(StaleDevices {
                stale_devices: ids::numbers(devices),
            }),
            ChangeNumberRefused::TooLarge { .. } => failed(Outcome::MessageTooLarge),
        })
    }

    /// The credentials are for the service where the lock's owner has left what opens it.
    fn lock_failure(&self, lock: &Locked) -> RegistrationLockFailure {
        let recovery = &self.0.issuing.keys.external.svr2;
        let credentials = recovery.issue(lock.aci, self.0.clock.now());
        let millis = u64::try_from(lock.time_remaining.as_millis()).unwrap_or(u64::MAX);
        RegistrationLockFailure {
            time_remaining_millis: millis,
            svr2_credentials: Some(ExternalServiceCredentials {
                username: credentials.username,
                password: credentials.password,
            }),
        }
    }
}

fn not_primary() -> Status {
    status::bad_authentication("only the primary device changes the number")
}

fn identifiers(moved: &Moved, number: &E164) -> AccountIdentifiers {
    let (hash, link) = moved.username.unzip();
    AccountIdentifiers {
        service_identifiers: vec![ids::identifier(moved.aci), ids::identifier(moved.pni)],
        e164: number.to_string(),
        username_hash: hash
            .map(|hash| hash.as_ref().to_vec().into())
            .unwrap_or_default(),
        username_link_handle: link.flatten().map(handle).unwrap_or_default(),
    }
}
