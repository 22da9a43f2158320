//! `messages.MessagesAnonymous`: messages of senders who do not say who they are.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 3 | credentials are shown; no recipient; no messages; a type, device or time that cannot be; more than 96 KiB |
//! | `SendSingleRecipientMessage`, `SendStory` | 8 | too many bytes or stories for one recipient; a challenge would be due |
//! | `SendMultiRecipient…` | 3 | a payload that is no message, is for nobody, or names a device twice; a malformed token |
//! | `SendSingleRecipientMessage` | 3 | nothing is shown; a malformed token; an access key for a number |
//!
//! That the recipient does not exist or has other devices, or that what is shown does not open the account, are outcomes.
//! Who does not exist gets stories without anybody being told.

use commands::account::Caller;
use commands::message::send_message::Sender;
use commands::message::send_to_many::Right;
use tonic::{Request, Response, Status};

use super::access::Shown;
use super::call::{AnonymousCall, at};
use super::many::Circular;
use super::proto::errors::{FailedUnidentifiedAuthorization, NotFound};
use super::proto::messages::messages_anonymous_server::MessagesAnonymous;
use super::proto::messages::send_message_response::Response as Outcome;
use super::proto::messages::send_sealed_sender_message_request::Authorization;
use super::proto::messages::{
    SendMessageResponse, SendMultiRecipientMessageRequest, SendMultiRecipientMessageResponse,
    SendMultiRecipientStoryRequest, SendSealedSenderMessageRequest, SendStoryMessageRequest,
};
use super::sending::{Letter, Refused, required};
use super::{Door, ids, many, status};
use crate::state::EventPosition;

type Sent = Result<Response<SendMessageResponse>, Status>;
type SentToMany = Result<Response<SendMultiRecipientMessageResponse>, Status>;

fn outcome(sent: Result<EventPosition, Refused>) -> Sent {
    let answer = |outcome| SendMessageResponse {
        response: Some(outcome),
    };
    let refused = match sent {
        Ok(position) => return Ok(at(position, answer(Outcome::Success(())))),
        Err(refused) => refused,
    };
    Ok(Response::new(answer(match refused {
        Refused::Devices(devices) => Outcome::MismatchedDevices(devices),
        // Who does not say who they are can meet no challenge.
        Refused::Challenge(_) => return Err(status::exhausted(None)),
        Refused::NoSuchRecipient => Outcome::DestinationNotFound(NotFound {}),
        Refused::Unauthorized => {
            Outcome::FailedUnidentifiedAuthorization(FailedUnidentifiedAuthorization::default())
        }
    })))
}

#[tonic::async_trait]
impl MessagesAnonymous for Door {
    async fn send_multi_recipient_message(
        &self,
        request: Request<SendMultiRecipientMessageRequest>,
    ) -> SentToMany {
        let AnonymousCall {
            context, message, ..
        } = AnonymousCall::of(request);
        let circular = Circular::parse(message.message, message.ephemeral, message.urgent)?;
        if !self
            .is_group_member(&message.group_send_token, circular.recipients())
            .await?
        {
            return Ok(Response::new(many::unauthorized()));
        }
        self.send_to_many(circular.command(Right::GroupMember), context)
            .await
    }

    async fn send_multi_recipient_story(
        &self,
        request: Request<SendMultiRecipientStoryRequest>,
    ) -> SentToMany {
        let AnonymousCall {
            context, message, ..
        } = AnonymousCall::of(request);
        let circular = Circular::parse(message.message, false, message.urgent)?;
        self.send_to_many(circular.command(Right::Story), context)
            .await
    }

    async fn send_single_recipient_message(
        &self,
        request: Request<SendSealedSenderMessageRequest>,
    ) -> Sent {
        let AnonymousCall {
            context, message, ..
        } = AnonymousCall::of(request);
        let destination = ids::service_id(message.destination)?;
        let shown = match message.authorization {
            Some(Authorization::UnidentifiedAccessKey(key)) => Shown::Key(key),
            Some(Authorization::GroupSendToken(token)) => Shown::Token(token),
            Some(Authorization::UnrestrictedAccess(())) => Shown::Nothing,
            None => return Err(status::violated("authorization", "must be set")),
        };
        let bundle = required(message.messages)?;
        let sender = match self.caller(shown, destination).await? {
            Some(Caller::AccessKey(key)) => Sender::Sealed(key),
            Some(Caller::GroupMember) => Sender::GroupMember,
            Some(Caller::Device(..)) | None => {
                return outcome(Err(Refused::Unauthorized));
            }
        };
        let letter = Letter {
            destination,
            sender,
            ephemeral: message.ephemeral,
            urgent: message.urgent,
            bundle,
        };
        outcome(self.send(letter, &context).await?)
    }

    async fn send_story(&self, request: Request<SendStoryMessageRequest>) -> Sent {
        let AnonymousCall {
            context, message, ..
        } = AnonymousCall::of(request);
        let letter = Letter {
            destination: ids::service_id(message.destination)?,
            sender: Sender::Story,
            ephemeral: false,
            urgent: message.urgent,
            bundle: required(message.messages)?,
        };
        outcome(self.send(letter, &context).await?)
    }
}
