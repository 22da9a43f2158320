//! `GET /v1/devices/wait_for_linked_device/{token identifier}?timeout=`: the primary device waits for its linking token to
//! be used.
//!
//! | status | when |
//! |---|---|
//! | 200 | the device that used it, once the primary has fetched every message from before that |
//! | 204 | the time is up, or another request waits for the same |
//! | 400 | no identifier of a token; a timeout outside of 1 to 3600 seconds; not the primary device |
//! | 401 | no or wrong credentials |
//! | 429 | too often |

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use events::ids::DeviceAddress;
use events::meeting::{MeetingsUnavailable, Place};
use events::values::hashes::LinkTokenHash;
use events::{Aci, Position, StreamId};
use http::StatusCode;
use projections::devices::Device;
use projections::{Model, QueryError};

use super::list::DeviceResponse;
use crate::http::extract::path::Text;
use crate::http::extract::{Authenticated, Json, Parameters, Segments};
use crate::http::long_poll::{Search, Timeout, wait};
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;
use crate::ws::watch::Watch;

/// How long it can be asked which device used a token.
const MEMORY: Duration = Duration::from_hours(1);

fn token(identifier: &str) -> Result<LinkTokenHash, Problem> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(identifier.trim_end_matches('='))
        .ok();
    bytes
        .filter(|_| (32..=64).contains(&identifier.len()))
        .and_then(|bytes| LinkTokenHash::try_from(bytes).ok())
        .ok_or_else(|| Problem::bad_parameter("tokenIdentifier is not the identifier of a token"))
}

/// The device that a token links, once the primary has nothing left to fetch from before.
struct Linked {
    api: Api,
    primary: DeviceAddress,
    token: LinkTokenHash,
    account: Watch,
    mailbox: Watch,
}

#[async_trait]
impl Search for Linked {
    type Found = Device;
    const MODELS: &'static [Model] = &[Model::Devices, Model::Inbox];

    async fn look(&self) -> Result<Option<Device>, QueryError> {
        let queries = &self.api.queries;
        let linked = queries
            .devices()
            .linked_by(self.primary.aci, self.token)
            .await?;
        let now = self.api.clock.now();
        let Some(device) = linked.filter(|device| now.since(device.linked_at) < MEMORY) else {
            return Ok(None);
        };
        let inbox = queries.inbox();
        let behind = inbox
            .has_from_before(self.primary, device.linked_at)
            .await?;
        Ok((!behind).then_some(device))
    }

    async fn news(&mut self) -> Position {
        tokio::select! {
            position = self.account.next() => position,
            position = self.mailbox.next() => position,
        }
    }
}

/// Whose turn it is to wait for a token: that of the last who asked, on whichever node.
struct Turn {
    place: Place,
    name: [u8; 16],
}

impl Turn {
    async fn take(
        api: &Api,
        aci: Aci,
        token: LinkTokenHash,
        Timeout { timeout }: Timeout,
    ) -> Result<Self, MeetingsUnavailable> {
        let token = BASE64_URL_SAFE_NO_PAD.encode(token.as_ref());
        let turn = Self {
            place: Place::new(
                "turn to wait for a linked device",
                &format!("{aci}/{token}"),
            ),
            name: api.entropy.bytes(),
        };
        let name = Bytes::copy_from_slice(&turn.name);
        api.meetings.leave(turn.place, name, 2 * timeout).await?;
        Ok(turn)
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    Segments((Text(identifier),)): Segments<(Text,)>,
    Parameters(timeout): Parameters<Timeout>,
) -> Result<Response, Problem> {
    if !caller.address.device.is_primary() {
        return Err(Problem::bad_request(
            "only the primary device waits for others",
        ));
    }
    let token = token(&identifier)?;
    let account = caller.address.aci.to_string();
    api.limits
        .take(Limit::WaitForLinkedDevice, &account)
        .await?;
    let linked = Linked {
        primary: caller.address,
        token,
        account: api.hub.watch(StreamId::account(caller.address.aci)),
        mailbox: api.hub.watch(StreamId::mailbox(caller.address)),
        api: api.clone(),
    };
    let mine = Turn::take(&api, caller.address.aci, token, timeout);
    let mine = mine.await.map_err(|error| Problem::unavailable(&error))?;
    let found = tokio::select! {
        found = wait(&api, timeout, linked) => found?,
        displaced = api.meetings.replaced(mine.place, &mine.name) => {
            displaced.map_err(|error| Problem::unavailable(&error))?;
            None
        }
    };
    Ok(match found {
        Some(device) => Json(DeviceResponse::from(device)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
