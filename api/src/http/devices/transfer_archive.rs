//! `/v1/devices/transfer_archive`: a device says where one that has just been linked finds the account's history (`PUT`),
//! and that one waits for it (`GET ?timeout=`).
//!
//! | status | when |
//! |---|---|
//! | 200 | where it is, or why there is none |
//! | 204 | it was passed on, if there is such a device; the time is up |
//! | 400 | a timeout outside of 1 to 3600 seconds |
//! | 401 | no or wrong credentials |
//! | 422 | rules broken |
//! | 429 | too often |

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commands::device::offer_archive::OfferArchive;
use events::account::TransferArchive;
use events::ids::DeviceAddress;
use events::values::Redacted;
use events::{DeviceId, Position, StreamId};
use http::StatusCode;
use projections::{Model, QueryError};
use serde::{Deserialize, Serialize};

use crate::http::extract::{Authenticated, Json, Parameters};
use crate::http::layers::Asked;
use crate::http::long_poll::{Search, Timeout, wait};
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::Object;
use crate::limits::rates::Limit;
use crate::state::Api;
use crate::ws::watch::Watch;

/// How long an offer holds.
const MEMORY: Duration = Duration::from_hours(1);

/// The longest key of an object.
const MAX_KEY: usize = 256;

/// The body of an offer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = TransferArchiveOffer)]
pub struct OfferRequest {
    /// The device that the archive is for: 1 to 127.
    #[schema(value_type = u8)]
    pub destination_device_id: Option<DeviceId>,
    /// Its registration id: 0 to 16383.
    pub destination_device_registration_id: Option<u32>,
    /// Where it finds the archive.
    #[schema(value_type = ArchiveJson)]
    pub transfer_archive: Option<Object<ArchiveJson>>,
}

/// Where an archive is, or why there is none: either `cdn` and `key` or `error`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = TransferArchive)]
pub struct ArchiveJson {
    /// The object store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdn: Option<u32>,
    /// The key in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key: Option<Box<str>>,
    /// `RELINK_REQUESTED` or `CONTINUE_WITHOUT_UPLOAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ArchiveError>,
}

/// Why there is no archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ArchiveError {
    /// The device has to be linked once more.
    RelinkRequested,
    /// The device goes on without.
    ContinueWithoutUpload,
}

impl ArchiveJson {
    fn archive(self) -> Option<TransferArchive> {
        match (self.cdn, self.key, self.error) {
            (Some(cdn), Some(key), None) if (1..=MAX_KEY).contains(&key.len()) => {
                Some(TransferArchive::Uploaded { cdn, key })
            }
            (None, None, Some(ArchiveError::RelinkRequested)) => {
                Some(TransferArchive::RelinkRequested)
            }
            (None, None, Some(ArchiveError::ContinueWithoutUpload)) => {
                Some(TransferArchive::ContinueWithoutUpload)
            }
            _ => None,
        }
    }
}

impl From<TransferArchive> for ArchiveJson {
    fn from(archive: TransferArchive) -> Self {
        let without = |error| Self {
            error: Some(error),
            ..Self::default()
        };
        match archive {
            TransferArchive::Uploaded { cdn, key } => Self {
                cdn: Some(cdn),
                key: Some(key),
                error: None,
            },
            TransferArchive::RelinkRequested => without(ArchiveError::RelinkRequested),
            TransferArchive::ContinueWithoutUpload => without(ArchiveError::ContinueWithoutUpload),
        }
    }
}

impl OfferRequest {
    fn command(self, caller: &Authenticated) -> Result<OfferArchive, Problem> {
        let mut violations = Violations::default();
        let device = self.destination_device_id;
        violations.check(device.is_some(), "destinationDeviceId must not be null");
        let registration_id = self.destination_device_registration_id.unwrap_or_default();
        let in_range = registration_id <= 0x3fff;
        violations.check(
            in_range,
            "destinationDeviceRegistrationId must be between 0 and 16383",
        );
        let archive = self
            .transfer_archive
            .and_then(|archive| archive.0.archive());
        violations.check(
            archive.is_some(),
            "transferArchive must be an archive or an error",
        );
        violations.refuse()?;
        let (device, archive) = device.zip(archive).ok_or_else(Problem::unmappable)?;
        Ok(OfferArchive {
            aci: caller.address.aci,
            device,
            registration_id,
            archive,
        })
    }
}

pub(crate) async fn offer(
    State(api): State<Api>,
    asked: Asked,
    caller: Authenticated,
    Json(request): Json<OfferRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = request.command(&caller)?;
    let account = caller.address.aci.to_string();
    api.limits
        .take(Limit::UploadTransferArchive, &account)
        .await?;
    let offered = api
        .executor
        .execute(&command, &asked.by(caller.actor()))
        .await
        .map_err(|failure| Problem::from_failure(failure, |never| match never {}))?;
    let position = api.settled(&offered, &[Model::Devices]).await;
    Ok((StatusCode::NO_CONTENT, position))
}

/// What was offered to a device.
struct Offered {
    api: Api,
    device: DeviceAddress,
    account: Watch,
}

#[async_trait]
impl Search for Offered {
    type Found = TransferArchive;
    const MODELS: &'static [Model] = &[Model::Devices];

    async fn look(&self) -> Result<Option<TransferArchive>, QueryError> {
        let DeviceAddress { aci, device, .. } = self.device;
        let device = self.api.queries.devices().one(aci, device).await?;
        let offered = device
            .filter(|device| device.address() == self.device)
            .and_then(|device| device.archive);
        let now = self.api.clock.now();
        let fresh = offered.filter(|offered| now.since(offered.at) < MEMORY);
        Ok(fresh.map(|offered| {
            let Redacted(archive) = offered.archive;
            archive
        }))
    }

    async fn news(&mut self) -> Position {
        self.account.next().await
    }
}

pub(crate) async fn take(
    State(api): State<Api>,
    caller: Authenticated,
    Parameters(timeout): Parameters<Timeout>,
) -> Result<Response, Problem> {
    let DeviceAddress { aci, device, .. } = caller.address;
    api.limits
        .take(Limit::WaitForTransferArchive, &format!("{aci}:{device}"))
        .await?;
    let offered = Offered {
        device: caller.address,
        account: api.hub.watch(StreamId::account(caller.address.aci)),
        api: api.clone(),
    };
    let found = wait(&api, timeout, offered).await?;
    Ok(match found {
        Some(archive) => Json(ArchiveJson::from(archive)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
