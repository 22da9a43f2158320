//! `/v2/keys`: pre-keys, uploaded by devices and taken by those who want to write to them.

pub mod check;
pub mod count;
pub mod set;
pub mod take;
pub mod wire;

use events::ServiceId;
use events::ids::IdentityKind;
use serde::{Deserialize, Deserializer, Serialize};

use crate::http::extract::Authenticated;
use crate::http::problem::Problem;
use crate::state::Api;

/// The query of calls about one's own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityParameter {
    /// `aci` or `pni`, in any case; `aci` if it is not said.
    #[serde(default = "aci", deserialize_with = "identity")]
    pub identity: IdentityKind,
}

const fn aci() -> IdentityKind {
    IdentityKind::Aci
}

fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IdentityKind, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "aci" => Ok(IdentityKind::Aci),
        "pni" => Ok(IdentityKind::Pni),
        _ => Err(serde::de::Error::custom(
            "query param identity must be one of [ACI, PNI]",
        )),
    }
}

/// The caller's identity of this kind.
pub(crate) async fn own_identity(
    api: &Api,
    caller: &Authenticated,
    kind: IdentityKind,
) -> Result<ServiceId, Problem> {
    if kind == IdentityKind::Aci {
        return Ok(caller.address.aci.into());
    }
    let account = api.queries.accounts().by_aci(caller.address.aci).await;
    let account = account.map_err(|error| Problem::unavailable(&error))?;
    account
        .map(|account| account.pni.into())
        .ok_or_else(Problem::credentials_required)
}
