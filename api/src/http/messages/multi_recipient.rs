//! `PUT /v1/messages/multi_recipient?ts=&online=&urgent=&story=`: one sealed message for all devices of many accounts, in
//! the binary form that [`crypto::multi_recipient`] describes.
//!
//! | status | when |
//! |---|---|
//! | 200 | `{"uuids404"}`: with a group-send token, the recipients that do not exist; empty otherwise |
//! | 400 | a malformed body or `ts`; no recipients; a device twice; access keys and a group-send token, or a token for a story |
//! | 401 | neither access keys that open all recipients, nor a group-send token for all of them |
//! | 404 | with access keys, a recipient that does not exist |
//! | 409 | `[{"uuid", "devices": {"missingDevices", "extraDevices"}}]` |
//! | 410 | `[{"uuid", "devices": {"staleDevices"}}]`, if no recipient has missing or extra devices |
//! | 413 | more than 96 KiB for a recipient; wins over 409 and 410 |
//! | 415 | not `application/vnd.signal-messenger.mrm` |
//! | 429 | a recipient gets too many stories |
//!
//! Credentials are not looked at.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use commands::message::send_to_many::{COPIES_AT_ONCE, Right, SendToMany, SendToManyRefused};
use commands::{Executed, Failure, RequestContext};
use crypto::multi_recipient::{MAX_LEN, MultiRecipientMessage};
use events::{Actor, DeviceId, ServiceId, Timestamp};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited as AtMost};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::send::{mismatched, stale};
use crate::http::body::BodyPatience;
use crate::http::extract::{AccessKeyHeader, Json, Parameters};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::limits::buckets::Limited;
use crate::limits::rates::Limit;
use crate::state::Api;
use crate::ws::ephemeral::deliver_now;

/// The body's type.
pub const MULTI_RECIPIENT_MESSAGE: &str = "application/vnd.signal-messenger.mrm";

/// The query. What is not `true` is no, except for `urgent`, which is yes if it is not said.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct MultiRecipientParameters {
    /// The sender's time in milliseconds; the server's, if it is 0 or not said.
    pub ts: Option<String>,
    /// Whether it is for devices that are connected now, and for nobody later.
    pub online: Option<String>,
    /// Whether the devices should be woken at once.
    pub urgent: Option<String>,
    /// Whether it belongs to a story.
    pub story: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MultiRecipientResponse {
    /// Recipients that do not exist.
    #[schema(value_type = Vec<String>)]
    pub uuids404: Vec<ServiceId>,
}

impl MultiRecipientParameters {
    fn timestamp(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        let text = self.ts.as_deref().unwrap_or("0");
        let given = text.parse().ok().map(Timestamp::from_epoch_millis);
        match given {
            Some(Ok(given)) if given == Timestamp::default() => Ok(now),
            Some(Ok(given)) => Ok(given),
            Some(Err(_)) | None => Err(Problem::bad_parameter(
                "query param ts must be between 0 and 8640000000000000",
            )),
        }
    }
}

fn is_true(parameter: Option<&String>, unsaid: bool) -> bool {
    parameter.map_or(unsaid, |text| text.eq_ignore_ascii_case("true"))
}

/// Reads the body as far as a message may be long, and takes it apart. What comes to the devices is never copied.
async fn read(request: Request) -> Result<MultiRecipientMessage, Problem> {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(MULTI_RECIPIENT_MESSAGE) {
        return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let patience = BodyPatience::of(request.extensions());
    let body = AtMost::new(request.into_body(), MAX_LEN).collect();
    let body: Bytes = match patience.bound(body).await? {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Err(Problem::bad_request(
                "the message is too long, or broke off",
            ));
        }
    };
    let malformed = |what: String| Problem::bad_request(format!("the message {what}"));
    let message = MultiRecipientMessage::parse(body).map_err(|it| malformed(it.to_string()))?;
    message
        .check_sendable()
        .map_err(|it| malformed(it.to_string()))?;
    Ok(message)
}

/// By what right it is sent. Exactly one of the two headers must be there, and none is needed for a story.
async fn right(
    api: &Api,
    access: AccessKeyHeader,
    story: bool,
    message: &MultiRecipientMessage,
) -> Result<Right, Problem> {
    match (story, access.has_key(), access.has_group_token()) {
        (true, _, true) => Err(Problem::bad_request("a story takes no group-send token")),
        (true, _, false) => Ok(Right::Story),
        (false, true, true) => Err(Problem::bad_request("a group-send token comes alone")),
        (false, _, false) => access.required().map(Right::AccessKeys),
        (false, false, true) => {
            let recipients = message.recipients().map(|recipient| recipient.service_id);
            access.group_member(api, recipients.collect()).await?;
            Ok(Right::GroupMember)
        }
    }
}

/// Counts a story for each of its recipients.
pub(crate) async fn count(api: &Api, command: &SendToMany) -> Result<(), Limited> {
    if let Right::Story = command.right {
        for recipient in command.message.recipients() {
            let recipient = recipient.service_id.to_string();
            api.limits.take(Limit::Stories, &recipient).await?;
        }
    }
    Ok(())
}

fn each<T>(recipients: Vec<(ServiceId, T)>, devices: impl Fn(T) -> Value) -> Value {
    let one = |(uuid, wrong)| json!({ "uuid": uuid, "devices": devices(wrong) });
    recipients.into_iter().map(one).collect()
}

impl From<SendToManyRefused> for Problem {
    fn from(refused: SendToManyRefused) -> Self {
        match refused {
            SendToManyRefused::NoSuchRecipient => Self::not_found(),
            SendToManyRefused::Unauthorized => Self::unauthorized(),
            SendToManyRefused::TooLarge { .. } => Self::of(StatusCode::PAYLOAD_TOO_LARGE),
            SendToManyRefused::MismatchedDevices { mut recipients } => {
                // Those whose devices are only stale are told when the others are right.
                recipients.retain(|(_, it)| it.are_mismatched());
                Self::with(
                    StatusCode::CONFLICT,
                    &each(recipients, |it| mismatched(&it.missing, &it.extra)),
                )
            }
            SendToManyRefused::StaleDevices { recipients } => Self::with(
                StatusCode::GONE,
                &each(recipients, |devices: Vec<DeviceId>| stale(&devices)),
            ),
        }
    }
}

/// Sends it in as many goes as it takes; the recipients that do not exist are told, and the last position.
pub(crate) async fn send(
    api: &Api,
    mut command: SendToMany,
    mut context: RequestContext,
) -> Result<Executed<Vec<ServiceId>>, Failure<SendToManyRefused>> {
    let mut all = Executed {
        done: Vec::new(),
        position: None,
    };
    loop {
        let sent = api.executor.execute(&command, &context).await?;
        deliver_now(api, sent.done.ephemeral, context.at);
        all.done.extend(sent.done.unresolved);
        all.position = sent.position.or(all.position);
        let Some(next) = sent.done.next else {
            return Ok(all);
        };
        command.from = next;
        // Ids of events derive from the request's; a mailbox may be written to in both goes.
        context = RequestContext {
            correlation: Some(context.chain()),
            ..api.executor.request_by(context.actor)
        };
    }
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    Parameters(parameters): Parameters<MultiRecipientParameters>,
    access: AccessKeyHeader,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let context = asked.by(Actor::Anonymous);
    let timestamp = parameters.timestamp(context.at)?;
    let message = read(request).await?;
    let story = is_true(parameters.story.as_ref(), false);
    let right = right(&api, access, story, &message).await?;
    let tells_absent = matches!(right, Right::GroupMember);
    let command = SendToMany {
        message: Arc::new(message),
        right,
        timestamp,
        online: is_true(parameters.online.as_ref(), false),
        urgent: is_true(parameters.urgent.as_ref(), true),
        from: 0,
        at_once: COPIES_AT_ONCE,
    };
    count(&api, &command).await?;
    let sent = send(&api, command, context).await?;
    // Readers of inboxes wait for the log by themselves; senders need not.
    let position = api.settled(&sent, &[]).await;
    let uuids404 = if tells_absent { sent.done } else { Vec::new() };
    Ok((position, Json(MultiRecipientResponse { uuids404 })))
}
