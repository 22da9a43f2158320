//! `POST /v1/registration`: a verified number becomes an account, or becomes one again.
//!
//! | status | when |
//! |---|---|
//! | 200 | the account |
//! | 400 | no credentials in the header; the session is about another number; in the seed dialect: whatever is 422 here |
//! | 401 | the session is unknown or not verified; malformed credentials |
//! | 403 | the recovery password is not accepted |
//! | 409 | the existing device could hand the account over, and the client did not say that it does without |
//! | 422 | rules broken; a signature does not fit its identity key |
//! | 423 | the registration lock was not opened; `{"timeRemaining", "svr2Credentials"}` |
//! | 429 | too many attempts at the number, at its registration lock, or at its one-time passwords |
//! | 441 | the one-time password of the account is missing or wrong |
//! | 499 | the device lacks a capability that this installation asks for |
//!
//! The name in the credentials is the number; with a recovery password it may be the account's id. Receipts, by which others
//! pay for accounts without a number, are refused with 400: nothing is sold here.
//!
//! In the seed dialect keys are optional: such an account cannot be written to before it has uploaded some.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Failure;
use commands::keys::{IdentityBundle, RegistrationKeys};
use commands::registration::register_account::{
    RegisterAccount, RegisterAccountRefused, Registered,
};
use events::account::Access;
use events::values::Redacted;
use events::values::keys::EcPublicKey;
use events::{Aci, Actor, E164};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::activation::{ActivationRequest, DeviceKeys};
use super::attributes::{Attributes, AttributesRequest};
use super::proof::{Proofs, lock_failed, locked};
use crate::config::Dialect;
use crate::http::accounts::identity::IdentityResponse;
use crate::http::extract::{Agent, Basic, Json, StrictBasic};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Object, non_empty};
use crate::limits::trials::CountedTrials;
use crate::state::{Api, EventPosition};

/// The body.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = RegistrationRequest)]
pub struct RegisterRequest {
    /// A verified session.
    pub session_id: Option<String>,
    /// The account's recovery password: 32 bytes.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub recovery_password: Option<Base64<Vec<u8>>>,
    /// What the client says of its device and account.
    #[schema(value_type = Option<AttributesRequest>)]
    pub account_attributes: Option<Object<AttributesRequest>>,
    /// A receipt that stands in for a number. Not taken here.
    pub receipt_credential_presentation: Option<Box<str>>,
    /// A one-time password of the existing account.
    pub totp: Option<u32>,
    /// Whether to do without a transfer from the existing device.
    pub skip_device_transfer: Option<bool>,
    /// The account's identity key.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub aci_identity_key: Option<Base64<EcPublicKey>>,
    /// The number's identity key.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub pni_identity_key: Option<Base64<EcPublicKey>>,
    /// Keys for both identities, and how to wake the device.
    #[serde(flatten)]
    pub activation: ActivationRequest,
}

/// The answer: the account, and whether it existed before.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RegistrationResponse)]
pub struct RegisterResponse {
    /// The account. `storageCapable` is that of the account that was there before.
    #[serde(flatten)]
    pub identity: IdentityResponse,
    /// Whether the number had an account already.
    pub reregistration: bool,
}

impl RegisterRequest {
    /// Keys are what only one of the dialects is sure to send.
    fn dialect(&self, api: &Api, agent: &Agent) -> Dialect {
        let keys = self.aci_identity_key.is_some() || self.activation.has_aci_keys();
        api.config.dialect.settle(keys, agent.user_agent.as_deref())
    }

    /// The command, if the rules hold that its parts have by themselves.
    async fn command(
        mut self,
        api: &Api,
        basic: &Basic,
        agent: Agent,
        dialect: Dialect,
        trials: Arc<CountedTrials>,
    ) -> Result<RegisterAccount, Problem> {
        tracing::debug!(?dialect, "registering");
        let mut violations = Violations::default();
        let request = self
            .account_attributes
            .take()
            .map(|attributes| attributes.0);
        violations.check(request.is_some(), "accountAttributes must not be null");
        let request = request.unwrap_or_default();
        let lock_offered = request.registration_lock.clone().map(Redacted);
        let attributes = request.parse(&mut violations, agent.signal_agent, &*api.entropy);
        let fetches = attributes.device.traits.fetches_messages;
        let push = self.activation.push(&mut violations, fetches, dialect);
        let keys = self.keys(&mut violations, dialect);
        attributes.check_for(dialect, keys.is_some(), &mut violations);
        let recovery_password = self.recovery_password.map(|password| password.0);
        let proof = Proofs {
            session_id: self.session_id,
            recovery_password,
        };
        if self.receipt_credential_presentation.is_some() {
            return Err(Problem::bad_request(
                "accounts without a number are not given",
            ));
        }
        violations.check(proof.is_one(), "exactlyOneProof must be true");
        violations.refuse()?;
        let capable = &attributes.device.traits.capabilities;
        if dialect == Dialect::Deployed && !capable.is_superset(&api.config.required_capabilities) {
            return Err(outdated("Missing required device capability"));
        }
        let number = number(api, &basic.username.0, &proof).await?;
        Ok(RegisterAccount {
            proof: proof.parse()?,
            pni: api.pnis.pni_of(&number),
            number,
            fresh_aci: Aci::from_random(api.entropy.bytes()),
            device: attributes
                .device
                .joining(&basic.password.0, push, &*api.entropy),
            keys,
            access: Access {
                key: attributes.access_key.map(Into::into),
                unrestricted: attributes.unrestricted,
                discoverable: attributes.discoverable,
            },
            protection: attributes.protection,
            lock_offered,
            one_time_password: self.totp,
            skip_device_transfer: self.skip_device_transfer.unwrap_or_default(),
            policy: api.config.verification.clone(),
            trials,
        })
    }

    /// Both identity keys come with the keys that they have signed, and not without.
    fn keys(&mut self, violations: &mut Violations, dialect: Dialect) -> Option<RegistrationKeys> {
        let (aci, pni) = (self.aci_identity_key.take(), self.pni_identity_key.take());
        let some = aci.is_some() || pni.is_some();
        let device = self.activation.keys(violations, dialect);
        let fits = device.is_some() == some && aci.is_some() == pni.is_some();
        violations.check(fits, "identityKeysPresent must be true");
        let bundle = |identity: Base64<EcPublicKey>, keys| IdentityBundle {
            identity: identity.0,
            keys,
        };
        let DeviceKeys {
            aci: aci_keys,
            pni: pni_keys,
        } = device?;
        Some(RegistrationKeys {
            aci: bundle(aci?, aci_keys),
            pni: bundle(pni?, pni_keys),
        })
    }
}

impl Attributes {
    /// What the deployed dialect insists on.
    fn check_for(&self, dialect: Dialect, has_keys: bool, violations: &mut Violations) {
        if dialect == Dialect::Seed {
            return;
        }
        let (id, pni_id) = (self.device.registration_id, self.device.pni_registration_id);
        violations.check(
            id.is_some(),
            "accountAttributes.registrationId must not be null",
        );
        let complete = !has_keys || pni_id.is_some();
        violations.check(
            complete,
            "accountAttributes.pniRegistrationId must not be null",
        );
        let reachable = self.unrestricted || self.access_key.is_some();
        violations.check(
            reachable,
            "accountAttributes.unidentifiedAccessKeyValid must be true",
        );
    }
}

/// What became of a registration that is refused.
fn refused(api: &Api, refused: RegisterAccountRefused) -> Problem {
    match refused {
        RegisterAccountRefused::InvalidSignature => Problem::unprocessable("Invalid signature"),
        RegisterAccountRefused::Unproved(unproved) => unproved.into(),
        RegisterAccountRefused::TransferPossible => Problem::empty(StatusCode::CONFLICT),
        RegisterAccountRefused::RegistrationLock(lock) => locked(api, lock),
        RegisterAccountRefused::OneTimePassword => {
            Problem::of(StatusCode::from_u16(441).expect("a legal status"))
        }
        RegisterAccountRefused::TooManyTrials(too_many) => too_many.into(),
    }
}

/// 499: the client is too old for this installation.
fn outdated(message: &'static str) -> Problem {
    let status = StatusCode::from_u16(499).expect("a legal status");
    Problem::saying(status, message)
}

/// The number that the name in the credentials means: itself, or that of the account by this id. Only somebody who brings the
/// account's own recovery password may name it by its id.
async fn number(api: &Api, name: &str, proof: &Proofs) -> Result<E164, Problem> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let aci: Aci = name.parse().map_err(|_| proof.of_no_number())?;
    if proof.session_id.is_some() {
        return Err(proof.of_no_number());
    }
    let account = api.queries.accounts().by_aci(aci).await;
    let account = account.map_err(|error| Problem::unavailable(&error))?;
    let number = account.and_then(|account| account.number);
    number.ok_or_else(|| proof.of_no_number())
}

impl From<Registered> for RegisterResponse {
    fn from(registered: Registered) -> Self {
        let Registered {
            aci,
            pni,
            number,
            reregistration,
            storage_capable,
            device: _,
        } = registered;
        Self {
            identity: IdentityResponse::new(aci, pni, Some(number), storage_capable),
            reregistration,
        }
    }
}

async fn register(
    api: &Api,
    asked: &Asked,
    request: impl Future<Output = Result<RegisterAccount, Problem>>,
    trials: &CountedTrials,
) -> Result<(EventPosition, Json<RegisterResponse>), Problem> {
    let command = request.await?;
    let context = asked.by(Actor::Anonymous);
    let models = [Model::Accounts, Model::Devices, Model::PreKeys];
    let outcome = api.perform(&command, &context, &models).await;
    match &outcome {
        Err(Failure::Refused(RegisterAccountRefused::RegistrationLock(lock))) => {
            lock_failed(api, lock.aci).await;
        }
        Ok(_) | Err(Failure::Refused(RegisterAccountRefused::OneTimePassword)) => {
            trials.lock_opened(&command.number).await;
        }
        Err(_) => {}
    }
    let (registered, position) =
        outcome.map_err(|failure| Problem::from_failure(failure, |it| refused(api, it)))?;
    Ok((position, Json(RegisterResponse::from(registered))))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    StrictBasic(basic): StrictBasic,
    agent: Agent,
    request: Result<Json<RegisterRequest>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    // What cannot be read has no keys to show its dialect.
    let unread = api
        .config
        .dialect
        .settle(false, agent.user_agent.as_deref());
    let Json(request) = request.map_err(|problem| problem.in_dialect(unread))?;
    let dialect = request.dialect(&api, &agent);
    let trials = api.trials();
    let command = request.command(&api, &basic, agent, dialect, trials.clone());
    let registered = register(&api, &asked, command, &trials).await;
    registered.map_err(|problem| problem.in_dialect(dialect))
}
