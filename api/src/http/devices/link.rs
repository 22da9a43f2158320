//! `PUT /v1/devices/link`: a device joins the account whose primary device gave it a token.
//!
//! | | deployed | seed |
//! |---|---|---|
//! | joined | 200 | 200 |
//! | the token is bad, expired or spent | 403 | 422 |
//! | no room; `{"current", "max"}` | 411 | 403 |
//! | rules broken, a signature that does not fit | 422 | 422 |
//! | no credentials in the header | 400 | 400 |
//! | malformed credentials | 401 | 401 |
//!
//! Keys are optional in both contracts' forms of the body, so that only the client's name or the switch can decide
//! which is spoken; the deployed dialect insists on them.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::device::DeviceAttributes;
use commands::device::link_device::{LinkDevice, LinkDeviceRefused, Linked, LinkedDeviceKeys};
use commands::keys::RepeatedUseKeys;
use crypto::linking::LinkTokens;
use crypto::token_hash;
use events::{Aci, Actor, DeviceId, Pni};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::limit_reached;
use crate::config::Dialect;
use crate::http::extract::{Agent, Basic, Json, StrictBasic};
use crate::http::keys::wire::{KyberPreKeyJson, SignedPreKeyJson};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::attributes::AttributesRequest;
use crate::http::registration::channel::ChannelRequest;
use crate::http::registration::register::some_registration_id;
use crate::http::violations::Violations;
use crate::state::Api;

/// The body.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinkRequest {
    /// The token.
    pub verification_code: Option<String>,
    /// What the device says of itself. What it says of the account means nothing.
    pub account_attributes: Option<AttributesRequest>,
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

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkResponse {
    /// The account.
    pub uuid: Aci,
    /// The pseudonym of its number: a bare UUID.
    pub pni: Pni,
    /// The number that the device has from now on.
    pub device_id: DeviceId,
}

impl From<Linked> for LinkResponse {
    fn from(Linked { address, pni }: Linked) -> Self {
        Self {
            uuid: address.aci,
            pni,
            device_id: address.device,
        }
    }
}

impl LinkRequest {
    fn command(
        self,
        api: &Api,
        basic: &Basic,
        agent: Agent,
        dialect: Dialect,
    ) -> Result<LinkDevice, Problem> {
        let mut violations = Violations::default();
        let token = self.verification_code.unwrap_or_default();
        violations.check(
            !token.trim().is_empty(),
            "verificationCode must not be blank",
        );
        violations.check(
            self.account_attributes.is_some(),
            "accountAttributes must not be null",
        );
        let request = AttributesRequest {
            // Account-wide attributes are not for a new device to set.
            registration_lock: None,
            recovery_password: None,
            unidentified_access_key: None,
            ..self.account_attributes.unwrap_or_default()
        };
        let attributes = request.parse(&mut violations, agent.signal_agent, &*api.entropy);
        let push = self
            .channel
            .parse(&mut violations, attributes.traits.fetches_messages, dialect);
        let keys = match (
            (self.aci_signed_pre_key, self.aci_pq_last_resort_pre_key),
            (self.pni_signed_pre_key, self.pni_pq_last_resort_pre_key),
        ) {
            ((Some(aci), Some(aci_kyber)), (Some(pni), Some(pni_kyber))) => {
                Some(LinkedDeviceKeys {
                    aci: RepeatedUseKeys {
                        signed: aci.into(),
                        last_resort: aci_kyber.into(),
                    },
                    pni: RepeatedUseKeys {
                        signed: pni.into(),
                        last_resort: pni_kyber.into(),
                    },
                })
            }
            ((None, None), (None, None)) if dialect == Dialect::Seed => None,
            _ => {
                violations.check(false, "allKeysPresent must be true");
                None
            }
        };
        if dialect == Dialect::Deployed {
            violations.check(
                attributes.registration_id.is_some(),
                "accountAttributes.registrationId must be between 1 and 16383",
            );
            violations.check(
                attributes.names_capabilities,
                "accountAttributes.capabilities must not be null",
            );
        }
        violations.refuse()?;
        let aci = api
            .link_tokens
            .verify(&token, api.clock.now())
            .map_err(|invalid| {
                tracing::debug!(%invalid, "refused");
                bad_token(dialect)
            })?;
        Ok(LinkDevice {
            aci,
            token: LinkTokens::hash(&token),
            attributes: DeviceAttributes {
                registration_id: attributes
                    .registration_id
                    .unwrap_or_else(|| some_registration_id(api)),
                pni_registration_id: attributes.pni_registration_id,
                credential: token_hash::hash(&basic.password.0, api.entropy.bytes()),
                traits: attributes.traits,
                push: push.map(Into::into),
            },
            keys,
        })
    }
}

fn bad_token(dialect: Dialect) -> Problem {
    match dialect {
        Dialect::Deployed => Problem::of(StatusCode::FORBIDDEN),
        Dialect::Seed => Problem::unprocessable("Invalid verification code"),
    }
}

fn refused(dialect: Dialect) -> impl FnOnce(LinkDeviceRefused) -> Problem {
    move |refused| match refused {
        LinkDeviceRefused::NoSuchAccount | LinkDeviceRefused::TokenSpent => bad_token(dialect),
        LinkDeviceRefused::InvalidSignature => Problem::unprocessable("Invalid signature"),
        LinkDeviceRefused::DeviceLimit { current, .. } => match dialect {
            Dialect::Deployed => limit_reached(StatusCode::LENGTH_REQUIRED, current),
            Dialect::Seed => limit_reached(StatusCode::FORBIDDEN, current),
        },
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    StrictBasic(basic): StrictBasic,
    agent: Agent,
    Json(request): Json<LinkRequest>,
) -> Result<impl IntoResponse, Problem> {
    let dialect = api
        .config
        .dialect
        .settle(false, agent.user_agent.as_deref());
    let command = request.command(&api, &basic, agent, dialect)?;
    let linked = api
        .executor
        .execute(&command, &asked.by(Actor::Anonymous))
        .await;
    let linked = linked.map_err(|failure| Problem::from_failure(failure, refused(dialect)))?;
    let position = api
        .settled(&linked, &[Model::Devices, Model::Accounts, Model::PreKeys])
        .await;
    Ok((position, Json(LinkResponse::from(linked.done))))
}
