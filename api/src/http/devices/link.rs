//! `PUT /v1/devices/link`: a device joins the account whose primary device gave it a token.
//!
//! | | deployed | seed |
//! |---|---|---|
//! | joined | 200 | 200 |
//! | the token is bad, expired or spent | 403 | 422 |
//! | no room; `{"current", "max"}` | 411 | 403 |
//! | without a capability that all devices of the account have and may not lose | 409 | 200 |
//! | rules broken, a signature that does not fit | 422 | 422 |
//! | no credentials in the header | 400 | 400 |
//! | malformed credentials | 401 | 401 |
//!
//! Keys are optional in both contracts' forms of the body, so that only the client's name or the switch can decide
//! which is spoken; the deployed dialect insists on them.

use axum::extract::State;
use axum::response::IntoResponse;
use commands::device::link_device::{
    Demands, LinkDevice, LinkDeviceRefused, Linked, LinkedDeviceKeys,
};
use crypto::linking::LinkTokens;
use events::account::PushToken;
use events::{Aci, Actor, DeviceId, Pni};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::limit_reached;
use crate::config::Dialect;
use crate::http::extract::{Agent, Basic, Json, StrictBasic};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::activation::{ActivationRequest, DeviceKeys};
use crate::http::registration::attributes::AttributesRequest;
use crate::http::violations::Violations;
use crate::http::wire::Object;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = LinkDeviceRequest)]
pub struct LinkRequest {
    /// The token.
    pub verification_code: Option<String>,
    /// What the device says of itself. What it says of the account means nothing.
    #[schema(value_type = Option<AttributesRequest>)]
    pub account_attributes: Option<Object<AttributesRequest>>,
    /// Keys for both identities, and how to wake the device.
    #[serde(flatten)]
    pub activation: ActivationRequest,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeviceResponse)]
pub struct LinkResponse {
    /// The account.
    #[schema(value_type = String)]
    pub uuid: Aci,
    /// The pseudonym of its number: a bare UUID.
    #[schema(value_type = String)]
    pub pni: Pni,
    /// The number that the device has from now on.
    #[schema(value_type = u8)]
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
        mut self,
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
        let request = self.account_attributes.map(|attributes| attributes.0);
        violations.check(request.is_some(), "accountAttributes must not be null");
        // What is not about the device is not for a new device to say.
        let request = request.unwrap_or_default().of_the_device();
        let device = request
            .parse(&mut violations, agent.signal_agent, &*api.entropy)
            .device;
        let fetches = device.traits.fetches_messages;
        let push = self.activation.push(&mut violations, fetches, dialect);
        let mut device = device;
        device
            .traits
            .agent
            .get_or_insert_with(|| agent_of(push.as_ref()).into());
        let keys = self.activation.keys(&mut violations, dialect);
        if dialect == Dialect::Deployed {
            let id = device.registration_id.is_some();
            violations.check(id, "accountAttributes.registrationId must not be null");
        }
        violations.refuse()?;
        let issued_to = api.link_tokens.verify(&token, api.clock.now());
        let aci = issued_to.map_err(|invalid| {
            tracing::debug!(%invalid, "refused");
            bad_token(dialect)
        })?;
        let demands = match dialect {
            Dialect::Seed => Demands::Nothing,
            Dialect::Deployed if device.names_capabilities => Demands::KeepUp,
            Dialect::Deployed => Demands::Unsaid,
        };
        Ok(LinkDevice {
            aci,
            token: LinkTokens::hash(&token),
            attributes: device.joining(&basic.password.0, push, &*api.entropy),
            keys: keys.map(|DeviceKeys { aci, pni }| LinkedDeviceKeys { aci, pni }),
            demands,
        })
    }
}

/// What a device is taken for that does not say what kind of application it is.
const fn agent_of(push: Option<&PushToken>) -> &'static str {
    match push {
        Some(PushToken::Apn(_)) => "OWP",
        Some(PushToken::Fcm(_)) => "OWA",
        None => "OWD",
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
        LinkDeviceRefused::CapabilitiesUnsaid => {
            Problem::invalid(["accountAttributes.capabilities must not be null"])
        }
        LinkDeviceRefused::CapabilityLost => Problem::of(StatusCode::CONFLICT),
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
    let account = command.aci.to_string();
    api.limits.take(Limit::VerifyDevice, &account).await?;
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
