//! `GET /v1/messages`: what waits for the calling device, for clients without a WebSocket. Takes nothing away.

use axum::extract::State;
use events::{DeviceId, MessageGuid, Pni, ServiceId, Timestamp};
use http::HeaderMap;
use projections::inbox::PageLimits;
use projections::{Model, QueryError};
use serde::{Deserialize, Serialize};

use crate::contents::{self, InboxMessage};
use crate::http::extract::{Authenticated, Json};
use crate::http::problem::Problem;
use crate::http::wire::{Base64, Padded};
use crate::limits;
use crate::state::Api;

/// A page: at most 100 messages, and not more than about four megabytes of them.
const PAGE: PageLimits = PageLimits {
    rows: 100,
    bytes: 4 * 1024 * 1024,
};

/// The answer, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OutgoingMessageList)]
pub struct ListResponse {
    /// The messages.
    pub messages: Vec<MessageResponse>,
    /// Whether there are more behind them. They come once these are deleted.
    pub more: bool,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OutgoingMessage)]
pub struct MessageResponse {
    /// The server's name for it.
    #[schema(value_type = String)]
    pub guid: MessageGuid,
    /// As in the envelope.
    #[serde(rename = "type")]
    pub kind: i16,
    /// The sender's time.
    #[schema(value_type = i64)]
    pub timestamp: Timestamp,
    /// Who sent it, unless that is sealed.
    #[schema(value_type = Option<String>)]
    pub source_uuid: Option<ServiceId>,
    /// Their device; 0 if that is sealed.
    pub source_device: u32,
    /// The identity it was addressed to.
    #[schema(value_type = String)]
    pub destination_uuid: ServiceId,
    /// The number's new pseudonym.
    #[schema(value_type = Option<String>)]
    pub updated_pni: Option<Pni>,
    /// The ciphertext; receipts have none.
    #[schema(value_type = Option<String>)]
    pub content: Option<Base64<Vec<u8>, Padded>>,
    /// When it was accepted.
    #[schema(value_type = i64)]
    pub server_timestamp: Timestamp,
    /// Whether the device should have been woken at once.
    pub urgent: bool,
    /// Whether it belongs to a story.
    pub story: bool,
    /// What may be shown to report it as spam.
    #[schema(value_type = Option<String>)]
    pub report_spam_token: Option<Base64<Vec<u8>, Padded>>,
}

impl From<InboxMessage> for MessageResponse {
    fn from(InboxMessage { entry, content }: InboxMessage) -> Self {
        Self {
            guid: entry.guid,
            kind: entry.kind.number(),
            timestamp: entry.client_timestamp,
            source_uuid: entry.source.map(|source| source.service_id),
            source_device: entry
                .source
                .map_or(0, |source| DeviceId::into(source.device)),
            destination_uuid: entry.destination,
            updated_pni: entry.updated_pni,
            content: content.map(|content| Base64::new(content.into())),
            server_timestamp: entry.server_timestamp,
            urgent: entry.urgent,
            story: entry.story,
            report_spam_token: None,
        }
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
    headers: HeaderMap,
) -> Result<Json<ListResponse>, Problem> {
    let unavailable = |error: QueryError| Problem::unavailable(&error);
    let head = api.queries.head().await.map_err(unavailable)?;
    api.queries
        .caught_up(&[Model::Inbox], head, limits::CATCH_UP)
        .await;
    let page = api
        .queries
        .inbox()
        .page(caller.address, None, PAGE)
        .await
        .map_err(unavailable)?;
    let stories = headers
        .get("x-signal-receive-stories")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let messages = contents::load(&*api.payloads, &page.messages)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let shown = messages
        .into_iter()
        .filter(|message| stories || !message.entry.story);
    Ok(Json(ListResponse {
        messages: shown.map(Into::into).collect(),
        more: page.more,
    }))
}
