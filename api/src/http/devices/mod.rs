//! `/v1/devices`.

pub mod capabilities;
pub mod link;
pub mod list;
pub mod provisioning_code;
pub mod remove;
pub mod restore_account;
pub mod transfer_archive;
pub mod wait_for_linked;

use http::StatusCode;
use serde_json::json;

use crate::http::problem::Problem;

/// The account has all the devices that it may have.
fn limit_reached(status: StatusCode, current: usize) -> Problem {
    Problem::with(
        status,
        &json!({ "current": current, "max": commands::device::DEVICE_LIMIT }),
    )
}
