//! `POST /v2/keys/check`: whether the server still has the keys that the calling device hands out again and again.
//!
//! | status | when |
//! |---|---|
//! | 200 | it has those that the digest is made of; no body |
//! | 401 | no or wrong credentials |
//! | 409 | it has others, or none; no body |
//! | 422 | rules broken |

use axum::extract::State;
use crypto::keys::repeated_use_digest;
use events::ids::IdentityKind;
use events::store::PayloadSlice;
use events::values::keys::{KyberPreKey, PageRecord as _};
use http::StatusCode;
use projections::Model;
use projections::pre_keys::RepeatedUse;
use serde::{Deserialize, Serialize};

use super::{identity, own_identity};
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::Base64;
use crate::limits;
use crate::state::Api;

/// The body.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CheckKeysRequest)]
pub struct CheckRequest {
    /// `aci` or `pni`, in any case.
    #[serde(deserialize_with = "identity")]
    #[schema(value_type = String)]
    pub identity_type: IdentityKind,
    /// SHA-256 over the identity key, the signed pre-key and the key of last resort, each pre-key after its id as 8
    /// bytes.
    #[serde(default)]
    #[schema(value_type = String)]
    pub digest: Option<Base64<Vec<u8>>>,
}

impl CheckRequest {
    fn digest(self) -> Result<[u8; 32], Problem> {
        let mut violations = Violations::default();
        let digest = self.digest.map(|digest| digest.0).unwrap_or_default();
        let digest = violations.parsed(digest.try_into(), "digest must have 32 bytes");
        violations.refuse()?;
        digest.ok_or_else(Problem::unmappable)
    }
}

/// The key of last resort; `None` if another one has taken its place in this very moment.
async fn last_resort(api: &Api, keys: &RepeatedUse) -> Result<Option<KyberPreKey>, Problem> {
    let length = u32::try_from(KyberPreKey::LEN).expect("a record is short");
    let record = PayloadSlice {
        id: keys.last_resort,
        offset: 0,
        length,
    };
    let fetched = api.payloads.fetch(&[record]).await;
    let records = fetched.map_err(|error| Problem::unavailable(&error))?;
    let record = records.into_iter().next().flatten();
    let key = record.as_deref().map(KyberPreKey::read).transpose();
    key.map_err(|error| Problem::unavailable(&error))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Json(request): Json<CheckRequest>,
) -> Result<StatusCode, Problem> {
    let (device, generation) = (caller.address.device, caller.address.generation);
    let kind = request.identity_type;
    let digest = request.digest()?;
    let head = api.queries.head().await;
    let head = head.map_err(|error| Problem::unavailable(&error))?;
    api.queries
        .caught_up(&[Model::PreKeys, Model::Accounts], head, limits::CATCH_UP)
        .await;
    let identity = own_identity(&api, &caller, kind).await?;
    let (identity_keys, keys) = futures::try_join!(
        async { api.queries.accounts().identity_keys(&[identity]).await },
        async {
            let pre_keys = api.queries.pre_keys();
            pre_keys.repeated_use(identity, device, generation).await
        },
    )
    .map_err(|error| Problem::unavailable(&error))?;
    let other = || Problem::empty(StatusCode::CONFLICT);
    let ((_, identity_key), keys) = identity_keys
        .into_iter()
        .next()
        .zip(keys)
        .ok_or_else(other)?;
    let last_resort = last_resort(&api, &keys).await?.ok_or_else(other)?;
    if repeated_use_digest(&identity_key, &keys.signed, &last_resort) == digest {
        Ok(StatusCode::OK)
    } else {
        Err(other())
    }
}
