//! `PUT /v1/provisioning/{address}`: a message for the new device that waits at the address.
//!
//! | status | when |
//! |---|---|
//! | 204 | it is on its way |
//! | 400 | a body of more than 262,144 characters |
//! | 401 | no or wrong credentials |
//! | 404 | nobody waits there, or no more |
//! | 422 | no body, or none that is base64 |
//! | 429 | too often |

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::extract::path::Text;
use crate::http::extract::{Authenticated, Json, Segments};
use crate::http::problem::Problem;
use crate::http::wire::{Family as _, Padded};
use crate::limits::provisioning as limits;
use crate::limits::rates::Limit;
use crate::state::Api;
use crate::ws::provisioning::place;

/// The body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = ProvisioningMessage)]
pub struct SendRequest {
    /// The message in base64. Line breaks, as MIME has them, are passed over.
    pub body: Option<String>,
}

impl SendRequest {
    fn message(self) -> Result<Bytes, Problem> {
        const ENGINE: GeneralPurpose = Padded::ENGINE;
        let mut text = self.body.unwrap_or_default();
        if text.is_empty() {
            return Err(Problem::invalid(["body must not be empty"]));
        }
        if text.chars().count() > limits::MESSAGE {
            return Err(Problem::of(StatusCode::BAD_REQUEST));
        }
        text.retain(|character| !character.is_ascii_whitespace());
        let message = ENGINE.decode(text).map_err(|_| Problem::unmappable())?;
        Ok(message.into())
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Segments((Text(address),)): Segments<(Text,)>,
    Json(request): Json<SendRequest>,
) -> Result<StatusCode, Problem> {
    let message = request.message()?;
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::Messages, &account).await?;
    let brought = api.meetings.bring(place(&address), message).await;
    if brought.map_err(|error| Problem::unavailable(&error))? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
