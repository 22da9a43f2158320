//! `PUT /v1/accounts/attributes`: what a device says of itself and its account, anew.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is so |
//! | 401 | no or wrong credentials |
//! | 422 | rules broken |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::account::change_attributes::{
    AccessKeyChange, ChangeAttributes, ChangeAttributesRefused,
};
use http::StatusCode;
use projections::Model;

use crate::config::Dialect;
use crate::http::extract::{Agent, Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::attributes::{Attributes, AttributesRequest};
use crate::http::violations::Violations;
use crate::state::Api;

/// What a missing key means: one dialect cannot leave it out unless anybody may write, the other leaves it as it is.
fn access_key(
    attributes: &Attributes,
    violations: &mut Violations,
    dialect: Dialect,
) -> AccessKeyChange {
    match (&attributes.access_key, dialect) {
        (Some(key), _) => AccessKeyChange::Set(key.clone()),
        (None, Dialect::Seed) => AccessKeyChange::Keep,
        (None, Dialect::Deployed) => {
            violations.check(
                attributes.unrestricted,
                "unidentifiedAccessKeyValid must be true",
            );
            AccessKeyChange::Clear
        }
    }
}

impl From<ChangeAttributesRefused> for Problem {
    fn from(refused: ChangeAttributesRefused) -> Self {
        match refused {
            ChangeAttributesRefused::NoSuchDevice => Self::credentials_required(),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    agent: Agent,
    Json(request): Json<AttributesRequest>,
) -> Result<impl IntoResponse, Problem> {
    let dialect = api
        .config
        .dialect
        .settle(false, agent.user_agent.as_deref());
    let mut violations = Violations::default();
    let attributes = request.parse(&mut violations, agent.signal_agent, &*api.entropy);
    let access_key = access_key(&attributes, &mut violations, dialect);
    violations.refuse()?;
    let command = ChangeAttributes {
        aci: caller.address.aci,
        device: caller.address.device,
        name: attributes.device.traits.name,
        fetches_messages: attributes.device.traits.fetches_messages,
        capabilities: attributes.device.traits.capabilities,
        agent: attributes.device.traits.agent,
        access_key,
        unrestricted: attributes.unrestricted,
        discoverable: attributes.discoverable,
        registration_lock: attributes.protection.registration_lock,
        recovery_password: attributes.protection.recovery_password,
    };
    let changed = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await?;
    let position = api
        .settled(&changed, &[Model::Accounts, Model::Devices])
        .await;
    Ok((StatusCode::NO_CONTENT, position))
}
