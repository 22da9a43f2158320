//! `PUT /v1/accounts/username_link`: another encrypted username stands behind the account's link.
//!
//! | status | when |
//! |---|---|
//! | 200 | where it stands |
//! | 401 | no or wrong credentials |
//! | 409 | the account has no username |
//! | 422 | not 1 to 128 bytes |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::username::SetUsernameLink;
use commands::username::change_link::SetUsernameLinkRefused;
use events::LinkHandle;
use events::values::username::EncryptedUsername;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::wire::{Base64, UrlSafe};
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body; also what somebody reads who has the link.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = UsernameLinkContent)]
pub struct LinkRequest {
    /// The name for those who have the link: 1 to 128 bytes.
    #[schema(value_type = Option<String>)]
    pub username_link_encrypted_value: Option<Base64<EncryptedUsername, UrlSafe>>,
    /// Whether it stands where the one before stood.
    pub keep_link_handle: bool,
}

/// The answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsernameLink)]
pub struct LinkResponse {
    /// Where it stands.
    #[schema(value_type = String)]
    pub username_link_handle: LinkHandle,
}

impl From<SetUsernameLinkRefused> for Problem {
    fn from(refused: SetUsernameLinkRefused) -> Self {
        match refused {
            SetUsernameLinkRefused::NoUsername => Self::of(StatusCode::CONFLICT),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<LinkRequest>,
) -> Result<impl IntoResponse, Problem> {
    let encrypted = request.username_link_encrypted_value;
    let encrypted = encrypted
        .ok_or_else(|| Problem::invalid(["usernameLinkEncryptedValue must not be null"]))?;
    let command = SetUsernameLink {
        aci: caller.address.aci,
        encrypted: encrypted.0,
        keep_handle: request.keep_link_handle,
        fresh_handle: LinkHandle::from_random(api.entropy.bytes()),
    };
    let account = caller.address.aci.to_string();
    api.limits
        .take(Limit::UsernameLinkOperation, &account)
        .await?;
    let context = asked.by(caller.actor());
    let (username_link_handle, position) =
        api.perform(&command, &context, &[Model::Accounts]).await?;
    let response = LinkResponse {
        username_link_handle,
    };
    Ok((position, Json(response)))
}
