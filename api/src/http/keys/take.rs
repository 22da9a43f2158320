//! `GET /v2/keys/{service id}/{device or *}`: the keys to start sessions with an account's devices. Each one-time key is
//! given away once.
//!
//! | status | when |
//! |---|---|
//! | 200 | the bundles |
//! | 400 | a group-send token together with anything else |
//! | 401 | nothing shown; an access key or a group-send token that does not open the account |
//! | 404 | no such account or device, or no keys |
//! | 422 | neither a device's number nor `*`; 404 when the server is switched to the seed dialect |
//! | 429 | the device has asked for these keys too often |

use axum::extract::State;
use axum::response::IntoResponse;
use commands::keys::take_pre_keys::{DeviceBundle, PreKeyBundles, TakePreKeys, TakePreKeysRefused};
use events::ids::DeviceAddress;
use events::values::keys::EcPublicKey;
use events::{Actor, DeviceId, RegistrationId, ServiceId};
use http::StatusCode;
use projections::{Model, QueryError};
use serde::{Deserialize, Serialize};

use super::wire::{EcPreKeyJson, KyberPreKeyJson, SignedPreKeyJson};
use crate::config::DialectSwitch;
use crate::http::extract::{
    AccessKeyHeader, Authenticated, Json, MaybeAuthenticated, Named, Segment, Segments,
    TokenBesideCredentials,
};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::wire::Base64;
use crate::limits::rates::Limit;
use crate::state::Api;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreKeyBundle)]
pub struct TakeResponse {
    /// Of the identity that was asked for.
    #[schema(value_type = String)]
    pub identity_key: Base64<EcPublicKey>,
    /// One at least.
    pub devices: Vec<DeviceResponse>,
}

/// One device's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DevicePreKeyBundle)]
pub struct DeviceResponse {
    /// The device.
    #[schema(value_type = u8)]
    pub device_id: DeviceId,
    /// Its registration id for the identity.
    #[schema(value_type = u16)]
    pub registration_id: RegistrationId,
    /// Its signed pre-key.
    pub signed_pre_key: SignedPreKeyJson,
    /// A one-time key, while there are any.
    pub pre_key: Option<EcPreKeyJson>,
    /// A one-time Kyber key or the last resort; `null` only for devices that never uploaded one.
    pub pq_pre_key: Option<KyberPreKeyJson>,
}

impl From<PreKeyBundles> for TakeResponse {
    fn from(bundles: PreKeyBundles) -> Self {
        let device = |bundle: DeviceBundle| DeviceResponse {
            device_id: bundle.device,
            registration_id: bundle.registration_id,
            signed_pre_key: bundle.signed.into(),
            pre_key: bundle.one_time.map(Into::into),
            pq_pre_key: bundle.kyber.map(Into::into),
        };
        Self {
            identity_key: Base64::new(bundles.identity_key),
            devices: bundles.devices.into_iter().map(device).collect(),
        }
    }
}

/// Of which device; of all for `*`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which(Option<DeviceId>);

impl Segment for Which {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "*" => Ok(Self(None)),
            number => number
                .parse()
                .map(Some)
                .map(Self)
                .map_err(|_| Problem::of(StatusCode::UNPROCESSABLE_ENTITY)),
        }
    }
}

/// The identity that is meant. A number is only known to callers who say who they are, and one that does not want to be
/// found is not.
async fn resolve(
    api: &Api,
    target: Named<ServiceId>,
    identified: bool,
) -> Result<ServiceId, Problem> {
    let number = match target {
        Named::Identity(identity) => return Ok(identity),
        Named::Number(number) => number,
    };
    if !identified {
        return Err(Problem::unauthorized());
    }
    let account = api
        .queries
        .accounts()
        .by_service_id(api.pnis.pni_of(&number).into())
        .await;
    let account = account
        .map_err(|error| Problem::unavailable(&error))?
        .filter(|account| account.discoverable);
    account
        .map(|account| account.aci.into())
        .ok_or_else(Problem::not_found)
}

impl From<TakePreKeysRefused> for Problem {
    fn from(refused: TakePreKeysRefused) -> Self {
        match refused {
            TakePreKeysRefused::Unauthorized => Self::unauthorized(),
            TakePreKeysRefused::NotFound => Self::not_found(),
        }
    }
}

/// By what takers are counted who say who they are: by each device of the target as it is installed now, so that whoever
/// meets one that was installed anew may ask again. Nobody is counted who asks for what is not there.
pub(crate) async fn bucket(
    api: &Api,
    asking: DeviceAddress,
    target: ServiceId,
    device: Option<DeviceId>,
) -> Result<Option<String>, QueryError> {
    let account = api.queries.accounts().by_service_id(target).await?;
    let Some(account) = account else {
        return Ok(None);
    };
    let which = match device {
        None => "*.*".to_owned(),
        Some(device) => {
            let found = api.queries.devices().one(account.aci, device).await?;
            let Some(found) = found else {
                return Ok(None);
            };
            let installed = match target {
                ServiceId::Aci(_) => Some(found.registration_id),
                ServiceId::Pni(_) => found.pni_registration_id,
            };
            let installed = installed.map_or(0, u32::from);
            format!("{device}.{installed}")
        }
    };
    Ok(Some(format!(
        "{}.{}__{target}.{which}",
        asking.aci, asking.device
    )))
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    MaybeAuthenticated(authenticated): MaybeAuthenticated,
    access: AccessKeyHeader,
    segments: Result<Segments<(Named<ServiceId>, Which)>, Problem>,
) -> Result<impl IntoResponse, Problem> {
    if authenticated.is_none() && !access.has_key() && !access.has_group_token() {
        return Err(Problem::unauthorized());
    }
    let Segments((target, Which(device))) =
        segments.map_err(|malformed| match (api.config.dialect, malformed.status()) {
            (DialectSwitch::Seed, StatusCode::UNPROCESSABLE_ENTITY) => Problem::not_found(),
            _ => malformed,
        })?;
    let target = resolve(&api, target, authenticated.is_some()).await?;
    if let Some(Authenticated { address }) = &authenticated {
        let bucket = bucket(&api, *address, target, device).await;
        if let Some(bucket) = bucket.map_err(|error| Problem::unavailable(&error))? {
            api.limits.take(Limit::PreKeys, &bucket).await?;
        }
    }
    let caller = access
        .caller(
            &api,
            authenticated.as_ref(),
            target,
            TokenBesideCredentials::Refused,
        )
        .await?;
    let actor = authenticated
        .as_ref()
        .map_or(Actor::Anonymous, Authenticated::actor);
    let command = TakePreKeys {
        target,
        device,
        caller,
    };
    let taken = api.executor.execute(&command, &asked.by(actor)).await?;
    let position = api.settled(&taken, &[Model::PreKeys]).await;
    Ok((position, Json(TakeResponse::from(taken.done))))
}
