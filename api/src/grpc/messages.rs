//! `messages.Messages`: messages of senders who say who they are, and a device's own mailbox.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the device is gone |
//! | `SendMessage` | 8 | too many messages to one recipient, or too many bytes |
//! | `SendMessage` | 3 | no recipient, or the sender; no messages; a type, device or time that cannot be; more than 96 KiB |
//! | `SendSyncMessage` | 3 | the same of its messages, which may be missing if the account has no other device |
//! | `GetMessages` | 3, 8, 10, 14, 16 | see `stream` |
//!
//! That the recipient does not exist or has other devices, or that the sender has to meet a challenge, are outcomes.

use commands::message::send_message::Sender;
use events::ServiceId;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::call::{DeviceCall, at};
use super::proto::errors::NotFound;
use super::proto::messages::messages_server::Messages;
use super::proto::messages::send_message_authenticated_sender_response::Response as Outcome;
use super::proto::messages::{
    GetMessagesRequest, GetMessagesResponse, IndividualRecipientMessageBundle,
    SendAuthenticatedSenderMessageRequest, SendMessageAuthenticatedSenderResponse,
    SendSyncMessageRequest,
};
use super::sending::{Letter, Refused, required, to_oneself};
use super::{Door, ids, status, stream};
use crate::state::EventPosition;

type Sent = Result<Response<SendMessageAuthenticatedSenderResponse>, Status>;

fn outcome(sent: Result<EventPosition, Refused>) -> Sent {
    let answer = |outcome| SendMessageAuthenticatedSenderResponse {
        response: Some(outcome),
    };
    match sent {
        Ok(position) => Ok(at(position, answer(Outcome::Success(())))),
        Err(Refused::Devices(devices)) => {
            Ok(Response::new(answer(Outcome::MismatchedDevices(devices))))
        }
        Err(Refused::NoSuchRecipient) => Ok(Response::new(answer(Outcome::DestinationNotFound(
            NotFound {},
        )))),
        Err(Refused::Challenge(challenge)) => {
            Ok(Response::new(answer(Outcome::ChallengeRequired(challenge))))
        }
        // Who shows a password is not asked for a key.
        Err(Refused::Unauthorized) => Err(status::invalid_credentials()),
    }
}

#[tonic::async_trait]
impl Messages for Door {
    async fn send_message(&self, request: Request<SendAuthenticatedSenderMessageRequest>) -> Sent {
        let DeviceCall {
            caller,
            context,
            message,
            ..
        } = DeviceCall::of(request);
        let destination = ids::service_id(message.destination)?;
        if destination == ServiceId::from(caller.aci) {
            return Err(to_oneself());
        }
        let letter = Letter {
            destination,
            sender: Sender::Identified(caller.aci, caller.device),
            ephemeral: message.ephemeral,
            urgent: message.urgent,
            bundle: required(message.messages)?,
        };
        outcome(self.send(letter, &context).await?)
    }

    async fn send_sync_message(&self, request: Request<SendSyncMessageRequest>) -> Sent {
        let DeviceCall {
            caller,
            context,
            message,
            ..
        } = DeviceCall::of(request);
        let nothing = || IndividualRecipientMessageBundle {
            timestamp: context.at.epoch_millis(),
            ..IndividualRecipientMessageBundle::default()
        };
        let letter = Letter {
            destination: caller.aci.into(),
            sender: Sender::Identified(caller.aci, caller.device),
            ephemeral: false,
            urgent: message.urgent,
            bundle: message.messages.unwrap_or_else(nothing),
        };
        outcome(self.send(letter, &context).await?)
    }

    async fn get_messages(
        &self,
        request: Request<Streaming<GetMessagesRequest>>,
    ) -> Result<Response<BoxStream<GetMessagesResponse>>, Status> {
        let call = DeviceCall::of(request);
        stream::open(&self.0, call.caller, call.message).map(Response::new)
    }
}
