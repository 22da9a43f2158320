//! `DELETE /v1/devices/{id}`: a device leaves the account, and is cut off at once.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is gone; also if it never was, when the server is switched to the deployed dialect |
//! | 401 | no or wrong credentials; a linked device that would remove another |
//! | 403 | the primary device |
//! | 404 | no such device; no device's number |

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commands::Failure;
use commands::device::remove_device::{RemoveDevice, RemoveDeviceRefused};
use events::DeviceId;
use http::StatusCode;
use projections::Model;

use crate::config::DialectSwitch;
use crate::http::extract::{Authenticated, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::state::Api;

impl From<RemoveDeviceRefused> for Problem {
    fn from(refused: RemoveDeviceRefused) -> Self {
        match refused {
            RemoveDeviceRefused::NotPrimary => Self::unauthorized(),
            RemoveDeviceRefused::PrimaryStays => Self::of(StatusCode::FORBIDDEN),
            RemoveDeviceRefused::NoSuchDevice => Self::not_found(),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Segments((target,)): Segments<(DeviceId,)>,
) -> Result<Response, Problem> {
    let command = RemoveDevice {
        aci: caller.address.aci,
        caller: caller.address.device,
        target,
    };
    let removed = match api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await
    {
        Err(Failure::Refused(RemoveDeviceRefused::NoSuchDevice))
            if api.config.dialect == DialectSwitch::Deployed =>
        {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        outcome => outcome?,
    };
    let position = api
        .settled(&removed, &[Model::Devices, Model::Accounts])
        .await;
    Ok((StatusCode::NO_CONTENT, position).into_response())
}
