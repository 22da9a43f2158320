//! Who asks. On plain HTTP the credentials of each request say so; on a WebSocket those that opened it have said so.

use axum::extract::FromRequestParts;
use commands::account::mark_seen::{MarkSeen, day};
use crypto::token_hash;
use events::ids::DeviceAddress;
use events::{Actor, ServiceId};
use http::HeaderMap;
use http::StatusCode;
use http::request::Parts;
use projections::QueryError;
use projections::devices::Device;
use tracing::debug;

use super::basic::{AccountName, Basic, Username};
use crate::http::layers::Asked;
use crate::http::problem::{Problem, chain};
use crate::state::Api;

/// The device that asks, which has proved who it is.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Its address.
    pub address: DeviceAddress,
}

/// The device that asks, if it has proved who it is. Wrong credentials count as none.
#[derive(Clone, Debug)]
pub struct MaybeAuthenticated(pub Option<Authenticated>);

/// Nobody: who proves to be somebody is refused.
#[derive(Clone, Copy, Debug)]
pub struct AnonymousOnly;

/// Put into the extensions of every request that came over a WebSocket: who is at its other end.
#[derive(Clone, Copy, Debug)]
pub enum SocketPeer {
    /// A client that showed no credentials.
    Anonymous,
    /// A device that proved its password when the socket was opened.
    Device(DeviceAddress),
    /// A device to be, which waits to be told its account.
    Newcomer,
}

impl SocketPeer {
    const fn device(self) -> Option<DeviceAddress> {
        match self {
            Self::Device(address) => Some(address),
            Self::Anonymous | Self::Newcomer => None,
        }
    }
}

impl Authenticated {
    /// On whose authority it acts.
    pub const fn actor(&self) -> Actor {
        Actor::Device(self.address.aci, self.address.device)
    }
}

/// Checks credentials against the device roster. That there is no such device takes as long to find out as that the
/// password is another one, as far as hashing goes.
pub(crate) async fn verify(api: &Api, basic: &Basic) -> Result<Option<Device>, QueryError> {
    let device = match basic.username.0.parse::<Username>() {
        Ok(username) => find(api, &username).await?,
        Err(_) => None,
    };
    let password = &basic.password.0;
    let credential = device
        .as_ref()
        .and_then(|device| device.credential.as_ref());
    let matches = credential.is_some_and(|credential| token_hash::verify(password, credential));
    if credential.is_none() {
        token_hash::hash(password, [0; 16]);
    }
    Ok(device.filter(|_| matches))
}

async fn find(api: &Api, username: &Username) -> Result<Option<Device>, QueryError> {
    let aci = match &username.account {
        AccountName::Aci(aci) => *aci,
        AccountName::Number(number) => {
            let pni = ServiceId::Pni(api.pnis.pni_of(number));
            match api.queries.accounts().by_service_id(pni).await? {
                Some(account) => account.aci,
                None => return Ok(None),
            }
        }
    };
    api.queries.devices().one(aci, username.device).await
}

/// What is known of the caller of a plain request.
pub(crate) enum Shown {
    /// No credentials.
    Nothing,
    /// Credentials that are not good.
    Wrong,
    /// Those of this device.
    Right(DeviceAddress),
}

/// What the headers show of the caller.
pub(crate) async fn shown(api: &Api, headers: &HeaderMap) -> Result<Shown, Problem> {
    let basic = match Basic::of(headers) {
        None => return Ok(Shown::Nothing),
        Some(Err(_malformed)) => return Ok(Shown::Wrong),
        Some(Ok(basic)) => basic,
    };
    let device = verify(api, &basic)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let Some(device) = device else {
        return Ok(Shown::Wrong);
    };
    mark_seen(api, &device);
    Ok(Shown::Right(device.address()))
}

/// Notes once a day that the device was heard of. Nobody waits for it, and it is tried again with the next request.
fn mark_seen(api: &Api, device: &Device) {
    let Device {
        aci, id, last_seen, ..
    } = *device;
    if day(aci, last_seen) >= day(aci, api.clock.now()) {
        return;
    }
    let (api, tracker) = (api.clone(), &api.shutdown.tracker);
    let marking = async move {
        let context = api.executor.request_by(Actor::Device(aci, id));
        if let Err(failure) = api
            .executor
            .execute(&MarkSeen { aci, device: id }, &context)
            .await
        {
            debug!(cause = %chain(&failure), "a device was not marked as seen");
        }
    };
    tracker.spawn(marking);
}

/// The caller's device, if there is one, however the request came.
async fn caller(parts: &Parts, api: &Api) -> Result<Option<Authenticated>, Problem> {
    let address = match parts.extensions.get::<SocketPeer>() {
        Some(peer) => peer.device(),
        None => match shown(api, &parts.headers).await? {
            Shown::Right(address) => Some(address),
            Shown::Wrong | Shown::Nothing => None,
        },
    };
    if let Some(asked) = parts
        .extensions
        .get::<Asked>()
        .filter(|_| address.is_some())
    {
        asked.is_by("device");
    }
    Ok(address.map(|address| Authenticated { address }))
}

impl FromRequestParts<Api> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let in_socket = parts.extensions.get::<SocketPeer>().is_some();
        caller(parts, api).await?.ok_or_else(|| {
            if in_socket {
                Problem::saying(StatusCode::UNAUTHORIZED, "Authenticated resource")
            } else {
                Problem::credentials_required()
            }
        })
    }
}

impl FromRequestParts<Api> for MaybeAuthenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        caller(parts, api).await.map(Self)
    }
}

impl FromRequestParts<Api> for AnonymousOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match caller(parts, api).await? {
            None => Ok(Self),
            Some(_) => Err(Problem::bad_request(
                "Operation requires unauthenticated access",
            )),
        }
    }
}

/// Who opens a WebSocket. Wrong credentials are told from none here: such a client must learn that it is locked out.
pub(crate) async fn opener(
    api: &Api,
    headers: &HeaderMap,
) -> Result<Option<DeviceAddress>, Problem> {
    match shown(api, headers).await {
        Ok(Shown::Nothing) => Ok(None),
        Ok(Shown::Right(address)) => Ok(Some(address)),
        Ok(Shown::Wrong) => Err(Problem::of(StatusCode::FORBIDDEN)),
        // Not 503: clients take a refusal with its meaning there, and must not think that they are unlinked.
        Err(_) => Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}
