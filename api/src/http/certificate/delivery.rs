//! `GET /v1/certificate/delivery?includeE164=`: the calling device's sender certificate, with the account's number unless
//! it is asked for without. 401; 400 if the account has no number to include, or no identity key yet.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::problem::Problem;
use crate::http::wire::{Base64, Padded};
use crate::state::Api;

/// The query.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
pub struct DeliveryParameters {
    /// Whether the number is included. It is unless this is there and not `true`.
    #[serde(rename = "includeE164")]
    pub include_e164: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryCertificate {
    /// A `SenderCertificate`.
    #[schema(value_type = String)]
    pub certificate: Base64<Vec<u8>, Padded>,
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(parameters): Parameters<DeliveryParameters>,
) -> Result<Json<DeliveryCertificate>, Problem> {
    let include = parameters.include_e164;
    let with_number = include.is_none_or(|text| text.eq_ignore_ascii_case("true"));
    let certificate = api.sender_certificate(caller.address, with_number).await?;
    Ok(Json(DeliveryCertificate {
        certificate: Base64::new(certificate),
    }))
}
