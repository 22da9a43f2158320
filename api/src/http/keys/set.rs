//! `PUT /v2/keys?identity=`: puts pre-keys in the place of those that the calling device has.
//!
//! | status | when |
//! |---|---|
//! | 204 | they are there |
//! | 400 | another identity |
//! | 401 | no or wrong credentials |
//! | 409 | the account has another identity key (seed dialect) |
//! | 422 | more than 100 keys, a bad key, a signature that does not fit |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::keys::set_keys::{SetKeys, SetKeysRefused};
use events::values::keys::EcPublicKey;
use http::StatusCode;
use projections::Model;
use serde::{Deserialize, Serialize};

use super::IdentityParameter;
use super::wire::{EcPreKeyJson, KyberPreKeyJson, SignedPreKeyJson};
use crate::config::Dialect;
use crate::http::extract::{Agent, Authenticated, Json, Parameters};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Object, non_empty};
use crate::state::Api;

/// The most keys of each kind in one upload.
const MAX_KEYS: usize = 100;

/// The body. What is missing stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = SetKeysRequest)]
pub struct SetRequest {
    /// One-time Curve25519 keys: a list that is not empty replaces all that are left.
    #[schema(value_type = Option<Vec<EcPreKeyJson>>)]
    pub pre_keys: Option<Vec<Object<EcPreKeyJson>>>,
    /// One-time Kyber keys: a list that is not empty replaces all that are left.
    #[schema(value_type = Option<Vec<KyberPreKeyJson>>)]
    pub pq_pre_keys: Option<Vec<Object<KyberPreKeyJson>>>,
    /// The signed pre-key.
    #[schema(value_type = Option<SignedPreKeyJson>)]
    pub signed_pre_key: Option<Object<SignedPreKeyJson>>,
    /// The Kyber key of last resort.
    #[schema(value_type = Option<KyberPreKeyJson>)]
    pub pq_last_resort_pre_key: Option<Object<KyberPreKeyJson>>,
    /// From clients that registered without keys: the identity key. The first one stays.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub identity_key: Option<Base64<EcPublicKey>>,
}

impl SetRequest {
    fn command(
        self,
        caller: &Authenticated,
        parameters: IdentityParameter,
        dialect: Dialect,
    ) -> Result<SetKeys, Problem> {
        let (one_time, one_time_kyber) = (
            self.pre_keys.unwrap_or_default(),
            self.pq_pre_keys.unwrap_or_default(),
        );
        let mut violations = Violations::default();
        violations.check(
            one_time.len() <= MAX_KEYS,
            "preKeys size must be between 0 and 100",
        );
        violations.check(
            one_time_kyber.len() <= MAX_KEYS,
            "pqPreKeys size must be between 0 and 100",
        );
        violations.refuse()?;
        Ok(SetKeys {
            aci: caller.address.aci,
            device: caller.address.device,
            identity: parameters.identity,
            // The deployed dialect knows no such property.
            identity_key: self
                .identity_key
                .filter(|_| dialect == Dialect::Seed)
                .map(|key| key.0),
            one_time: one_time.into_iter().map(|key| key.0.into()).collect(),
            one_time_kyber: one_time_kyber.into_iter().map(|key| key.0.into()).collect(),
            signed: self.signed_pre_key.map(|key| key.0.into()),
            last_resort: self.pq_last_resort_pre_key.map(|key| key.0.into()),
        })
    }
}

impl From<SetKeysRefused> for Problem {
    fn from(refused: SetKeysRefused) -> Self {
        match refused {
            SetKeysRefused::NoSuchDevice => Self::credentials_required(),
            SetKeysRefused::OtherIdentityKey => Self::of(StatusCode::CONFLICT),
            SetKeysRefused::NoIdentityKey => Self::unprocessable("The account has no identity key"),
            SetKeysRefused::InvalidSignature => Self::unprocessable("Invalid signature"),
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Parameters(parameters): Parameters<IdentityParameter>,
    agent: Agent,
    Json(request): Json<SetRequest>,
) -> Result<impl IntoResponse, Problem> {
    let dialect = api
        .config
        .dialect
        .settle(false, agent.user_agent.as_deref());
    let command = request.command(&caller, parameters, dialect)?;
    let set = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await?;
    let position = api.settled(&set, &[Model::PreKeys, Model::Accounts]).await;
    Ok((StatusCode::NO_CONTENT, position))
}
