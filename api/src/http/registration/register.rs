//! `POST /v1/registration`: a verified number becomes an account, or becomes one again.
//!
//! | status | when |
//! |---|---|
//! | 200 | the account |
//! | 400 | no credentials in the header; the session is about another number; rules broken in the seed dialect |
//! | 401 | the session is unknown or not verified; malformed credentials |
//! | 403 | the recovery password is not accepted |
//! | 409 | the existing device could hand the account over, and the client did not say that it does without |
//! | 422 | rules broken; a signature does not fit its identity key |
//! | 423 | the registration lock was not opened; `{"timeRemaining", "svr2Credentials"}` |
//!
//! In the seed dialect keys are optional: such an account cannot be written to before it has uploaded some.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::Failure;
use commands::device::DeviceAttributes;
use commands::keys::{IdentityBundle, RegistrationKeys, RepeatedUseKeys};
use commands::registration::register_account::{
    NumberProof, RegisterAccount, RegisterAccountRefused, Registered,
};
use crypto::token_hash;
use events::account::Access;
use events::values::Redacted;
use events::values::keys::EcPublicKey;
use events::{Aci, Actor, E164, RegistrationId};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attributes::{Attributes, AttributesRequest};
use super::channel::ChannelRequest;
use crate::config::Dialect;
use crate::http::accounts::identity::IdentityResponse;
use crate::http::extract::path::session_id;
use crate::http::extract::{Agent, Basic, Json, StrictBasic};
use crate::http::keys::wire::{KyberPreKeyJson, SignedPreKeyJson};
use crate::http::layers::Asked;
use crate::http::problem::{Problem, chain};
use crate::http::violations::Violations;
use crate::http::wire::{Base64, non_empty};
use crate::state::Api;

/// The body.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterRequest {
    /// A verified session.
    pub session_id: Option<String>,
    /// The account's recovery password: 32 bytes.
    #[serde(deserialize_with = "non_empty")]
    pub recovery_password: Option<Base64<Vec<u8>>>,
    /// What the client says of its device and account.
    pub account_attributes: Option<AttributesRequest>,
    /// Whether to do without a transfer from the existing device.
    pub skip_device_transfer: bool,
    /// The account's identity key.
    #[serde(deserialize_with = "non_empty")]
    pub aci_identity_key: Option<Base64<EcPublicKey>>,
    /// The number's identity key.
    #[serde(deserialize_with = "non_empty")]
    pub pni_identity_key: Option<Base64<EcPublicKey>>,
    /// Signed by the account's identity key.
    pub aci_signed_pre_key: Option<SignedPreKeyJson>,
    /// Signed by the number's identity key.
    pub pni_signed_pre_key: Option<SignedPreKeyJson>,
    /// Signed by the account's identity key.
    pub aci_pq_last_resort_pre_key: Option<KyberPreKeyJson>,
    /// Signed by the number's identity key.
    pub pni_pq_last_resort_pre_key: Option<KyberPreKeyJson>,
    /// How to wake the device.
    #[serde(flatten)]
    pub channel: ChannelRequest,
}

/// The answer: the account, and whether it existed before.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
        let keys = self.aci_identity_key.is_some()
            || self.aci_signed_pre_key.is_some()
            || self.aci_pq_last_resort_pre_key.is_some();
        api.config.dialect.settle(keys, agent.user_agent.as_deref())
    }

    /// The command, if the rules hold that its parts have by themselves.
    fn command(self, api: &Api, basic: &Basic, agent: Agent) -> Result<RegisterAccount, Problem> {
        let dialect = self.dialect(api, &agent);
        tracing::debug!(?dialect, "registering");
        let mut violations = Violations::default();
        let proof = Proofs {
            session_id: self.session_id,
            recovery_password: self.recovery_password.map(|it| it.0),
        };
        let sent_attributes = self.account_attributes.is_some();
        violations.check(sent_attributes, "accountAttributes must not be null");
        let request = self.account_attributes.unwrap_or_default();
        let lock_offered = request.registration_lock.clone().map(Redacted);
        let attributes = request.parse(&mut violations, agent.signal_agent, &*api.entropy);
        let push = self
            .channel
            .parse(&mut violations, attributes.traits.fetches_messages, dialect);
        let aci = bundle(
            self.aci_identity_key,
            self.aci_signed_pre_key,
            self.aci_pq_last_resort_pre_key,
        );
        let pni = bundle(
            self.pni_identity_key,
            self.pni_signed_pre_key,
            self.pni_pq_last_resort_pre_key,
        );
        let keys = keys(&mut violations, aci, pni, dialect);
        attributes.check_ids(&mut violations, keys.is_some(), dialect);
        violations.check(proof.is_one(), "exactlyOneProof must be true");
        violations.refuse_in(dialect)?;
        let number = basic
            .username
            .0
            .parse::<E164>()
            .map_err(|_| proof.of_no_number())?;
        let registration_id = attributes
            .registration_id
            .unwrap_or_else(|| some_registration_id(api));
        Ok(RegisterAccount {
            proof: proof.parse(dialect)?,
            pni: api.pnis.pni_of(&number),
            number,
            fresh_aci: Aci::from_random(api.entropy.bytes()),
            device: DeviceAttributes {
                registration_id,
                pni_registration_id: attributes.pni_registration_id,
                credential: token_hash::hash(&basic.password.0, api.entropy.bytes()),
                traits: attributes.traits,
                push: push.map(Into::into),
            },
            keys,
            access: Access {
                key: attributes.access_key.map(Into::into),
                unrestricted: attributes.unrestricted,
                discoverable: attributes.discoverable,
            },
            protection: attributes.protection,
            lock_offered,
            skip_device_transfer: self.skip_device_transfer,
            policy: api.config.verification.clone(),
        })
    }
}

impl Attributes {
    /// What the deployed dialect insists on.
    fn check_ids(&self, violations: &mut Violations, has_keys: bool, dialect: Dialect) {
        if dialect == Dialect::Deployed {
            let has_id = self.registration_id.is_some();
            violations.check(
                has_id,
                "accountAttributes.registrationId must be between 1 and 16383",
            );
            let complete = !has_keys || self.pni_registration_id.is_some();
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
}

/// For clients that do not choose one. 1 to 16383.
pub(crate) fn some_registration_id(api: &Api) -> RegistrationId {
    let number = u32::from(u16::from_le_bytes(api.entropy.bytes()));
    RegistrationId::try_from(number % u32::from(RegistrationId::MAX.get()) + 1)
        .expect("in range by the line above")
}

type Bundle = (
    Option<Base64<EcPublicKey>>,
    Option<SignedPreKeyJson>,
    Option<KyberPreKeyJson>,
);

fn bundle(
    identity: Option<Base64<EcPublicKey>>,
    signed: Option<SignedPreKeyJson>,
    last_resort: Option<KyberPreKeyJson>,
) -> Bundle {
    (identity, signed, last_resort)
}

/// All six keys, or none of them where that is enough.
fn keys(
    violations: &mut Violations,
    aci: Bundle,
    pni: Bundle,
    dialect: Dialect,
) -> Option<RegistrationKeys> {
    match (complete(&aci), complete(&pni)) {
        (Some(true), Some(true)) => Some(RegistrationKeys {
            aci: identity_bundle(aci)?,
            pni: identity_bundle(pni)?,
        }),
        (Some(false), Some(false)) if dialect == Dialect::Seed => None,
        _ => {
            violations.check(false, "allKeysPresent must be true");
            None
        }
    }
}

/// `Some(true)` if all three are there, `Some(false)` if none is.
fn complete((identity, signed, last_resort): &Bundle) -> Option<bool> {
    match (identity.is_some(), signed.is_some(), last_resort.is_some()) {
        (true, true, true) => Some(true),
        (false, false, false) => Some(false),
        _ => None,
    }
}

fn identity_bundle((identity, signed, last_resort): Bundle) -> Option<IdentityBundle> {
    Some(IdentityBundle {
        identity: identity?.0,
        keys: RepeatedUseKeys {
            signed: signed?.into(),
            last_resort: last_resort?.into(),
        },
    })
}

/// How the client proves the number, as it says.
struct Proofs {
    session_id: Option<String>,
    recovery_password: Option<Vec<u8>>,
}

impl Proofs {
    fn is_one(&self) -> bool {
        self.session_id.is_some() != self.recovery_password.is_some()
    }

    /// What a name in the credentials that is no number comes to: it is not the number that was proved.
    fn of_no_number(&self) -> Problem {
        match self.session_id {
            Some(_) => Problem::bad_request("the session is about another number"),
            None => Problem::of(StatusCode::FORBIDDEN),
        }
    }

    fn parse(self, dialect: Dialect) -> Result<NumberProof, Problem> {
        let Some(session) = self.session_id else {
            return Ok(NumberProof::RecoveryPassword(Redacted(
                self.recovery_password.unwrap_or_default().into(),
            )));
        };
        match (session_id(&session), dialect) {
            (Some(Some(session)), _) => Ok(NumberProof::Session(session)),
            (Some(None), _) => Err(Problem::unauthorized()),
            (None, Dialect::Deployed) => Err(Problem::unprocessable("Malformed session ID")),
            (None, Dialect::Seed) => Err(Problem::bad_request("Malformed session ID")),
        }
    }
}

impl From<RegisterAccountRefused> for Problem {
    fn from(refused: RegisterAccountRefused) -> Self {
        match refused {
            RegisterAccountRefused::InvalidSignature => Self::unprocessable("Invalid signature"),
            RegisterAccountRefused::SessionUnknown | RegisterAccountRefused::NotVerified => {
                Self::unauthorized()
            }
            RegisterAccountRefused::NumberMismatch => {
                Self::bad_request("the session is about another number")
            }
            RegisterAccountRefused::RecoveryPasswordRejected => Self::of(StatusCode::FORBIDDEN),
            RegisterAccountRefused::TransferPossible => Self::empty(StatusCode::CONFLICT),
            RegisterAccountRefused::RegistrationLock { time_remaining } => {
                let millis = u64::try_from(time_remaining.as_millis()).unwrap_or(u64::MAX);
                Self::with(
                    StatusCode::LOCKED,
                    &json!({ "timeRemaining": millis, "svr2Credentials": null }),
                )
            }
        }
    }
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

/// A failed registration lock voids every password of the account, which the roster has to show before anybody hears of
/// the refusal.
async fn show_lock_out(api: &Api) {
    match api.queries.head().await {
        Ok(head) => {
            let (models, within) = (&[Model::Devices], api.config.read_your_writes);
            api.queries.caught_up(models, head, within).await;
        }
        Err(error) => tracing::warn!(cause = %chain(&error), "the lock-out may show a moment late"),
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    StrictBasic(basic): StrictBasic,
    agent: Agent,
    Json(request): Json<RegisterRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = request.command(&api, &basic, agent)?;
    let context = asked.by(Actor::Anonymous);
    let registered = match api.executor.execute(&command, &context).await {
        Err(Failure::Refused(refused @ RegisterAccountRefused::RegistrationLock { .. })) => {
            show_lock_out(&api).await;
            return Err(refused.into());
        }
        outcome => outcome?,
    };
    let position = api
        .settled(
            &registered,
            &[Model::Accounts, Model::Devices, Model::PreKeys],
        )
        .await;
    Ok((position, Json(RegisterResponse::from(registered.done))))
}
