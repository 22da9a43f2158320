//! `PUT /v2/accounts/number` and `PUT /v1/accounts/number`: the account moves to another number, or gets new keys for the one
//! that it has. The second path is that of the OpenAPI document, and kinder to whoever holds the number.
//!
//! | | v2 | v1 |
//! |---|---|---|
//! | the account has the number | 200 | 200 |
//! | the session is about another number | 400 | 400 |
//! | the session is unknown or not verified | 401 | 401 |
//! | a linked device asks; the recovery password is not accepted | 403 | 403 |
//! | no proof | 422 | 403, unless the operator takes clients at their word |
//! | messages or keys are not for exactly the account's devices; `{"missingDevices", "extraDevices"}` | 409 | 409 |
//! | somebody else has the number | their account is deleted | 409 |
//! | messages for devices as they were; `{"staleDevices"}` | 410 | 410 |
//! | a content of more than 96 KiB | 413 | 413 |
//! | rules broken; a signature does not fit | 422 | 422 |
//! | the registration lock of whoever has the number | 423 | |
//! | too soon after the registration; too many attempts at the number or its registration lock | 429 | 429 |

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Failure;
use commands::message::send_message::DeviceMessage;
use commands::number::change_number::{ChangeNumberRefused, HolderRule, Moved, ProofOffered};
use commands::number::{ChangeNumber, NewPniKeys};
use events::values::Redacted;
use events::values::keys::EcPublicKey;
use events::{DeviceId, E164, MessageGuid, RegistrationId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::identity::IdentityResponse;
use crate::config::Dialect;
use crate::http::extract::{Authenticated, Json};
use crate::http::keys::wire::{KyberPreKeyJson, SignedPreKeyJson};
use crate::http::layers::Asked;
use crate::http::messages::send::MessageRequest;
use crate::http::problem::Problem;
use crate::http::registration::proof::{Proofs, lock_failed, locked};
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Object, non_empty};
use crate::limits::trials::CountedTrials;
use crate::state::Api;

/// The body.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = ChangeNumberRequest)]
pub struct NumberRequest {
    /// A verified session.
    pub session_id: Option<String>,
    /// The recovery password of the account that has the number: 32 bytes.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub recovery_password: Option<Base64<Vec<u8>>>,
    /// The number, in canonical international form.
    pub number: Option<String>,
    /// The registration lock of the account that has the number.
    #[schema(value_type = Option<String>)]
    pub reglock: Option<Box<str>>,
    /// The same by its other name.
    #[schema(value_type = Option<String>)]
    pub registration_lock: Option<Box<str>>,
    /// The number's identity key.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub pni_identity_key: Option<Base64<EcPublicKey>>,
    /// What the account's other devices are told: one for each, or none at all.
    #[schema(value_type = Option<Vec<MessageRequest>>)]
    pub device_messages: Option<Vec<Object<MessageRequest>>>,
    /// A signed pre-key for each device.
    #[schema(value_type = Option<BTreeMap<u8, SignedPreKeyJson>>)]
    pub device_pni_signed_prekeys: Option<BTreeMap<DeviceId, Object<SignedPreKeyJson>>>,
    /// A Kyber key of last resort for each device.
    #[schema(value_type = Option<BTreeMap<u8, KyberPreKeyJson>>)]
    pub device_pni_pq_last_resort_prekeys: Option<BTreeMap<DeviceId, Object<KyberPreKeyJson>>>,
    /// A registration id for each device: 1 to 16383.
    #[schema(value_type = Option<BTreeMap<u8, u32>>)]
    pub pni_registration_ids: Option<BTreeMap<DeviceId, u32>>,
}

impl NumberRequest {
    fn command(
        mut self,
        api: &Api,
        caller: &Authenticated,
        path: Dialect,
        trials: Arc<CountedTrials>,
    ) -> Result<ChangeNumber, Problem> {
        let mut violations = Violations::default();
        let number = self.number.take().unwrap_or_default();
        let number =
            violations.parsed::<E164, _>(number.parse(), "number value is not a valid E164 number");
        let lock = self.registration_lock.take();
        let said = lock.is_some() || self.reglock.is_some() || path == Dialect::Deployed;
        violations.check(said, "registrationLock must not be null");
        let messages = self.messages(api, &mut violations, path);
        let keys = self.keys(&mut violations, path);
        let identity_key = self.pni_identity_key.map(|key| key.0);
        let complete = identity_key.is_some() || path == Dialect::Seed;
        violations.check(complete, "pniIdentityKey must not be null");
        let proofs = Proofs {
            session_id: self.session_id,
            recovery_password: self.recovery_password.map(|password| password.0),
        };
        let none = proofs.is_none() && path == Dialect::Seed;
        violations.check(proofs.is_one() || none, "exactlyOneProof must be true");
        violations.refuse()?;
        let number = number.ok_or_else(Problem::unmappable)?;
        Ok(ChangeNumber {
            aci: caller.address.aci,
            caller: caller.address.device,
            pni: api.pnis.pni_of(&number),
            number,
            proof: match none {
                true if api.config.unproved_numbers => ProofOffered::Waived,
                true => ProofOffered::Missing,
                false => ProofOffered::Proof(proofs.parse()?),
            },
            lock_offered: self.reglock.or(lock).map(Redacted),
            holder: match path {
                Dialect::Deployed => HolderRule::Displace,
                Dialect::Seed => HolderRule::Respect,
            },
            identity_key,
            keys,
            messages,
            waiting_period: api.config.number_waiting_period,
            policy: api.config.verification.clone(),
            trials,
        })
    }

    fn messages(
        &mut self,
        api: &Api,
        violations: &mut Violations,
        path: Dialect,
    ) -> Vec<DeviceMessage> {
        let messages = self.device_messages.take();
        let said = messages.is_some() || path == Dialect::Seed;
        violations.check(said, "deviceMessages must not be null");
        let messages = messages.unwrap_or_default();
        let mut devices: Vec<_> = messages
            .iter()
            .map(|message| message.0.destination_device_id)
            .collect();
        devices.sort_unstable();
        let once = devices.is_sorted_by(|a, b| a < b);
        violations.check(once, "deviceMessages must address each device once");
        let parse = |(index, Object(message)): (usize, Object<MessageRequest>)| {
            let guid = MessageGuid::from_random(api.entropy.bytes());
            message.parse(violations, index, guid)
        };
        messages.into_iter().enumerate().filter_map(parse).collect()
    }

    /// All three kinds of keys; or none, which only one of the paths allows.
    fn keys(&mut self, violations: &mut Violations, path: Dialect) -> Option<NewPniKeys> {
        let signed = self.device_pni_signed_prekeys.take().unwrap_or_default();
        let last_resort = self.device_pni_pq_last_resort_prekeys.take();
        let last_resort = last_resort.unwrap_or_default();
        let ids = self.pni_registration_ids.take().unwrap_or_default();
        let none = signed.is_empty() && last_resort.is_empty() && ids.is_empty();
        if none && path == Dialect::Seed {
            return None;
        }
        for (there, rule) in [
            (
                !signed.is_empty(),
                "devicePniSignedPrekeys must not be empty",
            ),
            (
                !last_resort.is_empty(),
                "devicePniPqLastResortPrekeys must not be empty",
            ),
            (!ids.is_empty(), "pniRegistrationIds must not be empty"),
        ] {
            violations.check(there, rule);
        }
        let mut valid = |(device, id)| {
            let rule = format!("pniRegistrationIds[{device}] must be between 1 and 16383");
            let id = violations.parsed(RegistrationId::try_from(id), &rule)?;
            Some((device, id))
        };
        Some(NewPniKeys {
            registration_ids: ids.into_iter().filter_map(&mut valid).collect(),
            signed: signed
                .into_iter()
                .map(|(id, key)| (id, key.0.into()))
                .collect(),
            last_resort: last_resort
                .into_iter()
                .map(|(id, key)| (id, key.0.into()))
                .collect(),
        })
    }
}

fn refused(api: &Api, refused: ChangeNumberRefused) -> Problem {
    match refused {
        ChangeNumberRefused::NoSuchDevice => Problem::credentials_required(),
        ChangeNumberRefused::NotPrimary | ChangeNumberRefused::ProofMissing => {
            Problem::of(StatusCode::FORBIDDEN)
        }
        ChangeNumberRefused::InvalidSignature => Problem::unprocessable("Invalid signature"),
        ChangeNumberRefused::TooSoon { retry_after } => {
            Problem::empty(StatusCode::TOO_MANY_REQUESTS).retry_after(retry_after)
        }
        ChangeNumberRefused::Unproved(unproved) => unproved.into(),
        ChangeNumberRefused::InUse => Problem::of(StatusCode::CONFLICT),
        ChangeNumberRefused::RegistrationLock(lock) => locked(api, lock),
        ChangeNumberRefused::MismatchedDevices { missing, extra } => Problem::with(
            StatusCode::CONFLICT,
            &json!({ "missingDevices": missing, "extraDevices": extra }),
        ),
        ChangeNumberRefused::StaleDevices { devices } => {
            Problem::with(StatusCode::GONE, &json!({ "staleDevices": devices }))
        }
        ChangeNumberRefused::TooLarge { .. } => Problem::of(StatusCode::PAYLOAD_TOO_LARGE),
        ChangeNumberRefused::TooManyTrials(too_many) => too_many.into(),
    }
}

async fn change(
    api: &Api,
    asked: &Asked,
    caller: &Authenticated,
    request: NumberRequest,
    path: Dialect,
) -> Result<impl IntoResponse + use<>, Problem> {
    let trials = api.trials();
    let command = request.command(api, caller, path, trials.clone())?;
    let context = asked.by(caller.actor());
    let models = [Model::Accounts, Model::Devices, Model::PreKeys];
    let outcome = api.perform(&command, &context, &models).await;
    match &outcome {
        Err(Failure::Refused(ChangeNumberRefused::RegistrationLock(lock))) => {
            lock_failed(api, lock.aci).await;
        }
        Ok(_) => trials.lock_opened(&command.number).await,
        Err(_) => {}
    }
    let (moved, position) =
        outcome.map_err(|failure| Problem::from_failure(failure, |it| refused(api, it)))?;
    let Moved {
        aci,
        pni,
        storage_capable,
        username,
    } = moved;
    let identity = IdentityResponse::new(aci, pni, Some(command.number), storage_capable);
    Ok((position, Json(identity.with_username(username))))
}

/// `PUT /v2/accounts/number`.
pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<NumberRequest>,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, request, Dialect::Deployed).await
}

/// `PUT /v1/accounts/number`.
pub(crate) async fn seed_handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<NumberRequest>,
) -> Result<impl IntoResponse, Problem> {
    change(&api, &asked, &caller, request, Dialect::Seed).await
}
