//! `POST /v1/call-link/create-auth`: a credential by which the calling account can create one call link, whose room the
//! server does not learn. 401; 400 for a request that cannot be read; 429.

use axum::extract::State;
use crypto::zk::Day;
use crypto::zk::call_link::{self, CreateRequest};
use events::Aci;
use serde::{Deserialize, Serialize};

use crate::http::certificate::group::DailyCredential;
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::http::wire::{Base64, Padded};
use crate::limits::rates::Limit;
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateLinkRequest {
    /// The blinded room.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub create_call_link_credential_request: Option<Base64<Vec<u8>, Padded>>,
}

impl Api {
    /// The credential to create a call link today.
    pub(crate) async fn call_link_credential(
        &self,
        aci: Aci,
        request: &CreateRequest,
    ) -> Result<(Day, Vec<u8>), Problem> {
        let today = Day::of(self.clock.now());
        let request = *request;
        let issued = self.issue(move |keys, rng| {
            call_link::issue_create(&keys.calling, &request, aci, today, rng)
        });
        Ok((today, issued.await?))
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Json(request): Json<CreateLinkRequest>,
) -> Result<Json<DailyCredential>, Problem> {
    let bytes = request.create_call_link_credential_request;
    let bytes = bytes
        .ok_or_else(|| Problem::invalid(["createCallLinkCredentialRequest must not be null"]))?;
    let account = caller.address.aci.to_string();
    api.limits.take(Limit::CreateCallLink, &account).await?;
    let request = CreateRequest::parse(&bytes.0)
        .map_err(|_| Problem::bad_request("the credential request cannot be read"))?;
    let issued = api
        .call_link_credential(caller.address.aci, &request)
        .await?;
    Ok(Json(issued.into()))
}
