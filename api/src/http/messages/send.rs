//! `PUT /v1/messages/{service id}?story=`: a message for all devices of an account.
//!
//! | status | when |
//! |---|---|
//! | 200 | accepted, or a story for nobody |
//! | 400 | a group-send token together with anything else |
//! | 401 | neither credentials, nor an access key that opens the account, nor a group-send token for it |
//! | 403 | a message to one's own account, addressed by number |
//! | 404 | no such account; callers who only show an access key do not learn that |
//! | 409 | `{"missingDevices", "extraDevices"}` |
//! | 410 | `{"staleDevices"}`; wins over 409 |
//! | 413 | a content of more than 96 KiB |
//! | 422 | rules broken |
//! | 428 | `{"token", "options"}`: the sender has to show first that a person is behind it |
//! | 429 | too many messages from one to the other, too many bytes for the recipient, or too many stories |

use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use commands::message::send_message::{
    DeviceMessage, SendMessage, SendMessageRefused, Sender, Sent,
};
use commands::{Executed, Failure, RequestContext};
use events::mailbox::EnvelopeKind;
use events::{Actor, DeviceId, MessageGuid, ServiceId, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::sender::settle;
use crate::http::extract::{AccessKeyHeader, Json, MaybeAuthenticated, Parameters, Segments};
use crate::http::layers::Asked;
use crate::http::problem::Problem;
use crate::http::violations::Violations;
use crate::http::wire::{Base64, Object};
use crate::limits::buckets::Limited;
use crate::limits::rates::Limit;
use crate::state::Api;
use crate::ws::ephemeral::deliver_now;

/// The body.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = IncomingMessageList)]
pub struct SendRequest {
    /// One for each device of the recipient, each device once.
    #[serde(default)]
    #[schema(value_type = Option<Vec<MessageRequest>>)]
    pub messages: Option<Vec<Object<MessageRequest>>>,
    /// Whether it is for devices that are connected now, and for nobody later.
    #[serde(default)]
    pub online: Option<bool>,
    /// Whether the devices should be woken at once; yes, if it is not said.
    #[serde(default)]
    pub urgent: Option<bool>,
    /// The sender's time in milliseconds; the server's, if it is 0 or not said.
    #[serde(default)]
    pub timestamp: Option<i64>,
}

/// The ciphertext for one device.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IncomingMessage)]
pub struct MessageRequest {
    /// 1 in a session, 3 starts one, 6 (or 7) sealed, 8 not encrypted.
    #[serde(rename = "type")]
    pub kind: i32,
    /// 1 to 127.
    #[schema(value_type = u8)]
    pub destination_device_id: DeviceId,
    /// The registration id under which the sender knows the device; not checked if it is not said.
    #[serde(default)]
    pub destination_registration_id: Option<i64>,
    /// At least one byte.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub content: Option<Base64<Vec<u8>>>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SendMessageResponse)]
pub struct SendResponse {
    /// Whether the sender has other devices that should learn of it.
    pub needs_sync: bool,
}

/// The query.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct SendParameters {
    /// Whether it belongs to a story. Anything but `true` is no.
    #[serde(default, deserialize_with = "is_true")]
    pub story: bool,
}

fn is_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    String::deserialize(deserializer).map(|text| text.eq_ignore_ascii_case("true"))
}

/// The seed's number for a sealed message. Recipients know it by the deployed number only.
const SEED_SEALED: i32 = 7;

fn kind(number: i32) -> Option<EnvelopeKind> {
    let number = if number == SEED_SEALED {
        EnvelopeKind::UnidentifiedSender as i32
    } else {
        number
    };
    EnvelopeKind::from_number(number.into())
        .filter(|kind| *kind != EnvelopeKind::ServerDeliveryReceipt)
}

impl MessageRequest {
    /// The message, as far as its rules hold; those that do not are noted.
    pub(crate) fn parse(
        self,
        violations: &mut Violations,
        index: usize,
        guid: MessageGuid,
    ) -> Option<DeviceMessage> {
        let content = self.content.map(|content| content.0).unwrap_or_default();
        violations.check(
            !content.is_empty(),
            &format!("messages[{index}].content must not be empty"),
        );
        let kind = kind(self.kind);
        violations.check(
            kind.is_some(),
            &format!("messages[{index}].type is not a type of message"),
        );
        Some(DeviceMessage {
            device: self.destination_device_id,
            // A number that no device can have is as good as 0: the sender does not know the device.
            registration_id: self
                .destination_registration_id
                .map(|id| u32::try_from(id).unwrap_or_default()),
            kind: kind?,
            content: Bytes::from(content),
            guid,
        })
    }
}

impl SendRequest {
    fn command(
        self,
        api: &Api,
        destination: ServiceId,
        sender: Sender,
        at: Timestamp,
    ) -> Result<SendMessage, Problem> {
        let mut violations = Violations::default();
        let requests = self.messages.unwrap_or_default();
        violations.check(!requests.is_empty(), "messages must not be empty");
        let mut devices: Vec<_> = requests
            .iter()
            .map(|message| message.0.destination_device_id)
            .collect();
        devices.sort_unstable();
        violations.check(
            devices.is_sorted_by(|a, b| a < b),
            "messages must address each device once",
        );
        let timestamp = u64::try_from(self.timestamp.unwrap_or_default()).unwrap_or(u64::MAX);
        let timestamp = Timestamp::from_epoch_millis(timestamp);
        let timestamp = violations.parsed(
            timestamp,
            "timestamp must be between 0 and 8640000000000000",
        );
        let parse = |(index, Object(message)): (usize, Object<MessageRequest>)| {
            message.parse(
                &mut violations,
                index,
                MessageGuid::from_random(api.entropy.bytes()),
            )
        };
        let messages = requests.into_iter().enumerate().filter_map(parse).collect();
        violations.refuse()?;
        let given = timestamp.filter(|timestamp| *timestamp != Timestamp::default());
        let challenged = match sender {
            Sender::Identified(aci, _) => api.spam.challenges(aci, destination, at),
            Sender::Sealed(_) | Sender::GroupMember | Sender::Story => false,
        };
        Ok(SendMessage {
            destination,
            sender,
            messages,
            timestamp: given.unwrap_or(at),
            online: self.online.unwrap_or_default(),
            urgent: self.urgent.unwrap_or(true),
            challenged,
        })
    }
}

fn refused(api: &Api, refused: SendMessageRefused) -> Problem {
    match refused {
        SendMessageRefused::NoSuchSender => Problem::credentials_required(),
        SendMessageRefused::SyncToOwnNumber => Problem::of(StatusCode::FORBIDDEN),
        SendMessageRefused::NoSuchRecipient => Problem::not_found(),
        SendMessageRefused::Unauthorized => Problem::unauthorized(),
        SendMessageRefused::ChallengeRequired => challenge_required(api),
        SendMessageRefused::MismatchedDevices { missing, extra } => {
            Problem::with(StatusCode::CONFLICT, &mismatched(&missing, &extra))
        }
        SendMessageRefused::StaleDevices { devices, .. } => {
            Problem::with(StatusCode::GONE, &stale(&devices))
        }
        SendMessageRefused::TooLarge { .. } => Problem::of(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// Devices that were left out, and devices that do not exist: both lists, also if they are empty.
pub(super) fn mismatched(missing: &[DeviceId], extra: &[DeviceId]) -> Value {
    json!({ "missingDevices": missing, "extraDevices": extra })
}

/// Devices that were installed anew.
pub(super) fn stale(devices: &[DeviceId]) -> Value {
    json!({ "staleDevices": devices })
}

/// What the answer to a challenge brings back.
pub(crate) fn challenge_token(api: &Api) -> String {
    hex::encode(api.entropy.bytes::<16>())
}

/// 428: the sender has to meet a challenge. The token only has to come back with the answer.
fn challenge_required(api: &Api) -> Problem {
    let token = challenge_token(api);
    let options = ["captcha", "pushChallenge"];
    let body = json!({ "token": token, "options": options });
    Problem::with(StatusCode::PRECONDITION_REQUIRED, &body)
}

/// What a message takes of which limits: the limit, the key, the permits. What devices of one account tell each other is
/// not counted.
fn counted(command: &SendMessage) -> Vec<(Limit, String, u64)> {
    let destination = command.destination.to_string();
    let mut counted = Vec::new();
    match &command.sender {
        Sender::Identified(aci, _) if command.destination == (*aci).into() => return counted,
        Sender::Identified(aci, _) => {
            counted.push((Limit::Messages, format!("{aci}__{destination}"), 1));
        }
        Sender::Story => counted.push((Limit::Stories, destination.clone(), 1)),
        Sender::Sealed(_) | Sender::GroupMember => {}
    }
    let bytes = command.messages.iter().map(|message| message.content.len());
    let bytes = u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX);
    counted.push((Limit::InboundMessageBytes, destination, bytes));
    counted
}

/// Counts a message and sends it. One that is refused because nobody is there, or because the sender may not write to
/// them, is not counted: otherwise strangers could use up what is there for the recipient's friends.
pub(crate) async fn send(
    api: &Api,
    command: &SendMessage,
    context: &RequestContext,
) -> Result<Result<Executed<Sent>, Failure<SendMessageRefused>>, Limited> {
    let counted = counted(command);
    for (limit, key, permits) in &counted {
        api.limits.take_many(*limit, key, *permits).await?;
    }
    let sent = api.executor.execute(command, context).await;
    let refused_before_counting = matches!(
        sent,
        Err(Failure::Refused(
            SendMessageRefused::Unauthorized
                | SendMessageRefused::NoSuchRecipient
                | SendMessageRefused::SyncToOwnNumber
        ))
    );
    if refused_before_counting {
        for (limit, key, permits) in &counted {
            api.limits.put_back(*limit, key, *permits).await;
        }
    }
    Ok(sent)
}

pub(crate) async fn handler(
    State(api): State<Api>,
    asked: Asked,
    MaybeAuthenticated(authenticated): MaybeAuthenticated,
    Segments((destination,)): Segments<(ServiceId,)>,
    Parameters(SendParameters { story }): Parameters<SendParameters>,
    access: AccessKeyHeader,
    Json(request): Json<SendRequest>,
) -> Result<impl IntoResponse, Problem> {
    let sender = settle(&api, authenticated.as_ref(), access, story, destination).await?;
    let actor = match sender {
        Sender::Identified(aci, device) => Actor::Device(aci, device),
        Sender::Sealed(_) | Sender::GroupMember | Sender::Story => Actor::Anonymous,
    };
    let context = asked.by(actor);
    let command = request.command(&api, destination, sender, context.at)?;
    let sent = send(&api, &command, &context).await?;
    let sent = sent.map_err(|failure| Problem::from_failure(failure, |it| refused(&api, it)))?;
    // Readers of inboxes wait for the log by themselves; senders need not.
    let position = api.settled(&sent, &[]).await;
    deliver_now(&api, sent.done.ephemeral, context.at);
    Ok((
        position,
        Json(SendResponse {
            needs_sync: sent.done.needs_sync,
        }),
    ))
}
