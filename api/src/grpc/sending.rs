//! What all ways to send to one recipient share: the bundle of ciphertexts, and what comes of it.

use commands::message::send_message::{
    DeviceMessage, SendMessage, SendMessageRefused, Sender, Sent,
};
use commands::{Executed, RequestContext};
use events::mailbox::EnvelopeKind;
use events::{MessageGuid, ServiceId, Timestamp};
use tonic::Status;

use super::proto::messages::challenge_required::ChallengeType;
use super::proto::messages::individual_recipient_message_bundle::Message;
use super::proto::messages::{
    ChallengeRequired, IndividualRecipientMessageBundle, MismatchedDevices, SendMessageType,
};
use super::{Door, ids, status};
use crate::http::messages::send::{challenge_token, send};
use crate::state::EventPosition;
use crate::ws::ephemeral::deliver_now;

/// A message on its way to one recipient, as a client sent it.
pub(super) struct Letter {
    pub(super) destination: ServiceId,
    pub(super) sender: Sender,
    pub(super) ephemeral: bool,
    pub(super) urgent: bool,
    pub(super) bundle: IndividualRecipientMessageBundle,
}

/// What a client may do about a message that was not accepted.
pub(super) enum Refused {
    /// The recipient's devices are others.
    Devices(MismatchedDevices),
    /// The sender has to show first that a person is behind it.
    Challenge(ChallengeRequired),
    /// There is no such recipient.
    NoSuchRecipient,
    /// What was shown does not open the account.
    Unauthorized,
}

/// The types that may be sent: sealed ones by who does not say who they are, the others by who does.
fn kind(number: i32, sealed: bool) -> Result<EnvelopeKind, Status> {
    let kind = match SendMessageType::try_from(number) {
        Ok(SendMessageType::DoubleRatchet) => Some(EnvelopeKind::Ciphertext),
        Ok(SendMessageType::PrekeyMessage) => Some(EnvelopeKind::PreKeyBundle),
        Ok(SendMessageType::PlaintextContent) => Some(EnvelopeKind::PlaintextContent),
        Ok(SendMessageType::UnidentifiedSender) => Some(EnvelopeKind::UnidentifiedSender),
        Ok(SendMessageType::Unspecified) | Err(_) => None,
    };
    kind.filter(|kind| sealed == (*kind == EnvelopeKind::UnidentifiedSender))
        .ok_or_else(|| status::violated("type", "must be a type that may be sent here"))
}

/// The ciphertext for one device.
pub(super) fn device_message(
    door: &Door,
    device: u32,
    message: Message,
    sealed: bool,
) -> Result<DeviceMessage, Status> {
    Ok(DeviceMessage {
        device: ids::device(device)?,
        registration_id: Some(message.registration_id),
        kind: kind(message.r#type, sealed)?,
        content: message.payload,
        guid: MessageGuid::from_random(door.0.entropy.bytes()),
    })
}

impl Letter {
    fn command(self, door: &Door, at: Timestamp) -> Result<SendMessage, Status> {
        let sealed = !matches!(self.sender, Sender::Identified(..));
        let parse = |(device, message)| device_message(door, device, message, sealed);
        let messages: Result<Vec<_>, Status> =
            self.bundle.messages.into_iter().map(parse).collect();
        let timestamp = Timestamp::from_epoch_millis(self.bundle.timestamp);
        let challenged = match self.sender {
            Sender::Identified(aci, _) => door.0.spam.challenges(aci, self.destination, at),
            Sender::Sealed(_) | Sender::GroupMember | Sender::Story => false,
        };
        Ok(SendMessage {
            destination: self.destination,
            sender: self.sender,
            messages: messages?,
            timestamp: timestamp.map_err(|_| status::violated("timestamp", "must be a time"))?,
            online: self.ephemeral,
            urgent: self.urgent,
            challenged,
        })
    }
}

/// A bundle that is not there is the violation of a rule; only to one's own account nothing can be sent.
pub(super) fn required(
    bundle: Option<IndividualRecipientMessageBundle>,
) -> Result<IndividualRecipientMessageBundle, Status> {
    bundle.ok_or_else(|| status::violated("messages", "must be present"))
}

impl Door {
    /// Accepts a message for one recipient.
    pub(super) async fn send(
        &self,
        letter: Letter,
        context: &RequestContext,
    ) -> Result<Result<EventPosition, Refused>, Status> {
        let destination = letter.destination;
        let command = letter.command(self, context.at)?;
        let sent = send(&self.0, &command, context).await;
        match status::decided(sent.map_err(status::limited)?)? {
            Ok(sent) => Ok(Ok(self.accepted(sent, context.at).await)),
            Err(refused) => self.refusal(destination, refused).map(Err),
        }
    }

    async fn accepted(&self, sent: Executed<Sent>, at: Timestamp) -> EventPosition {
        // Readers of inboxes wait for the log by themselves; senders need not.
        let position = self.0.settled(&sent, &[]).await;
        deliver_now(&self.0, sent.done.ephemeral, at);
        position
    }

    fn refusal(
        &self,
        destination: ServiceId,
        refused: SendMessageRefused,
    ) -> Result<Refused, Status> {
        let devices = |missing, extra, stale| {
            Refused::Devices(MismatchedDevices {
                service_identifier: Some(ids::identifier(destination)),
                missing_devices: ids::numbers(missing),
                extra_devices: ids::numbers(extra),
                stale_devices: ids::numbers(stale),
            })
        };
        match refused {
            SendMessageRefused::NoSuchSender => Err(status::invalid_credentials()),
            SendMessageRefused::SyncToOwnNumber => Err(to_oneself()),
            SendMessageRefused::NoSuchRecipient => Ok(Refused::NoSuchRecipient),
            SendMessageRefused::Unauthorized => Ok(Refused::Unauthorized),
            SendMessageRefused::ChallengeRequired => Ok(Refused::Challenge(self.challenge())),
            SendMessageRefused::MismatchedDevices { missing, extra } => {
                Ok(devices(missing, extra, vec![]))
            }
            SendMessageRefused::StaleDevices {
                devices: stale,
                missing,
                extra,
            } => Ok(devices(missing, extra, stale)),
            SendMessageRefused::TooLarge { .. } => Err(status::violated(
                "payload",
                "must not be longer than 96 KiB",
            )),
        }
    }

    /// The token only has to come back with the answer.
    fn challenge(&self) -> ChallengeRequired {
        ChallengeRequired {
            token: challenge_token(&self.0),
            challenge_options: vec![
                ChallengeType::Captcha.into(),
                ChallengeType::PushChallenge.into(),
            ],
            retry_after_seconds: None,
        }
    }
}

/// 3: messages to one's own account go another way.
pub(super) fn to_oneself() -> Status {
    status::violated("destination", "must not be the sender's own account")
}
