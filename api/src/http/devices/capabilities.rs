//! `PUT /v1/devices/capabilities`: what the calling device can do, by name. 204; 422 for what is no object of booleans.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse;
use commands::device::change_capabilities::{ChangeCapabilities, ChangeCapabilitiesRefused};
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::registration::attributes::supported;
use crate::state::Api;

/// The body: names, and whether the device has what they stand for. Names that the server does not know mean nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(as = DeviceCapabilities)]
pub struct CapabilitiesRequest(pub BTreeMap<String, bool>);

impl From<ChangeCapabilitiesRefused> for Problem {
    fn from(refused: ChangeCapabilitiesRefused) -> Self {
        match refused {
            ChangeCapabilitiesRefused::NoSuchDevice => Self::credentials_required(),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(CapabilitiesRequest(names)): Json<CapabilitiesRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = ChangeCapabilities {
        aci: caller.address.aci,
        device: caller.address.device,
        capabilities: names.iter().filter_map(supported).collect(),
    };
    let changed = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await?;
    let position = api
        .settled(&changed, &[Model::Devices, Model::Accounts])
        .await;
    Ok((StatusCode::NO_CONTENT, position))
}
