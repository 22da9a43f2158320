//! `GET /v2/svr/auth` (and `/v2/backup/auth`), `/v1/storage/auth`, `/v2/directory/auth`, `/v1/payments/auth`: credentials of
//! the calling account for one service. 401.

use axum::extract::State;
use crypto::external::{Credentials, ExternalService};
use crypto::secrets::ExternalServices;
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json};
use crate::state::Api;

/// The answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceCredentials {
    /// What the service knows the account by.
    pub username: String,
    /// When it was issued, and the proof.
    pub password: String,
}

impl std::fmt::Debug for ServiceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceCredentials(…)")
    }
}

impl From<Credentials> for ServiceCredentials {
    fn from(Credentials { username, password }: Credentials) -> Self {
        Self { username, password }
    }
}

fn issue(
    api: &Api,
    caller: &Authenticated,
    service: impl FnOnce(&ExternalServices) -> &ExternalService,
) -> Json<ServiceCredentials> {
    let service = service(&api.issuing.keys.external);
    Json(service.issue(caller.address.aci, api.clock.now()).into())
}

pub(crate) async fn svr2(
    State(api): State<Api>,
    caller: Authenticated,
) -> Json<ServiceCredentials> {
    issue(&api, &caller, |services| &services.svr2)
}

pub(crate) async fn storage(
    State(api): State<Api>,
    caller: Authenticated,
) -> Json<ServiceCredentials> {
    issue(&api, &caller, |services| &services.storage)
}

pub(crate) async fn directory(
    State(api): State<Api>,
    caller: Authenticated,
) -> Json<ServiceCredentials> {
    issue(&api, &caller, |services| &services.directory)
}

pub(crate) async fn payments(
    State(api): State<Api>,
    caller: Authenticated,
) -> Json<ServiceCredentials> {
    issue(&api, &caller, |services| &services.payments)
}
