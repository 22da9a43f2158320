//! `POST /v1/profile/identity_check/batch`: which of these identities have another key than the caller knows. 422; 429.

use std::collections::BTreeMap;

use axum::extract::State;
use events::ServiceId;
use events::values::keys::EcPublicKey;
use serde::{Deserialize, Serialize};

use crate::http::extract::{ClientAddress, Json};
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Object, Padded};
use crate::limits::rates::Limit;
use crate::state::Api;

/// How many identities may be checked at once.
pub const MAX_ELEMENTS: usize = 1000;

/// The body.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct IdentityCheckRequest {
    /// One to a thousand.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Known>>)]
    pub elements: Option<Vec<Object<Known>>>,
}

/// What the caller knows of an identity.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Known {
    /// The identity.
    #[schema(value_type = String)]
    pub uuid: ServiceId,
    /// The first 4 bytes of SHA-256 over its key.
    #[schema(value_type = String)]
    pub fingerprint: Base64<Vec<u8>, Padded>,
}

/// The answer, in no order that anybody may rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IdentityCheckResponse {
    /// Those with another key. Who does not exist is not among them.
    pub elements: Vec<Changed>,
}

/// An identity with another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The identity.
    #[schema(value_type = String)]
    pub uuid: ServiceId,
    /// Its key.
    #[schema(value_type = String)]
    pub identity_key: Base64<EcPublicKey>,
}

/// The identities with the fingerprints that the caller knows of them; the last one of each counts.
fn parse(request: IdentityCheckRequest) -> Result<BTreeMap<ServiceId, [u8; 4]>, Problem> {
    let elements = request.elements.unwrap_or_default();
    let mut violations = Violations::default();
    violations.check(
        (1..=MAX_ELEMENTS).contains(&elements.len()),
        "elements size must be between 1 and 1000",
    );
    let known = elements.into_iter().filter_map(|Object(known)| {
        let fingerprint = known.fingerprint.0.try_into();
        let fingerprint =
            violations.parsed(fingerprint, "elements[].fingerprint must have 4 bytes");
        Some((known.uuid, fingerprint?))
    });
    let known = known.collect();
    violations.refuse()?;
    Ok(known)
}

pub(crate) async fn handler(
    State(api): State<Api>,
    address: ClientAddress,
    Json(request): Json<IdentityCheckRequest>,
) -> Result<Json<IdentityCheckResponse>, Problem> {
    let known = parse(request)?;
    let limit = Limit::BatchIdentityCheck;
    api.limits.take(limit, &address.bucket()).await?;
    let identities: Vec<_> = known.keys().copied().collect();
    let keys = api.queries.accounts().identity_keys(&identities).await;
    let keys = keys.map_err(|error| Problem::unavailable(&error))?;
    let changed = keys
        .into_iter()
        .filter(|(identity, key)| known.get(identity) != Some(&crypto::keys::fingerprint(key)));
    Ok(Json(IdentityCheckResponse {
        elements: changed
            .map(|(uuid, identity_key)| Changed {
                uuid,
                identity_key: Base64::new(identity_key),
            })
            .collect(),
    }))
}
