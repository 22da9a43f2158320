//! One message for many recipients, in the form that [`crypto::multi_recipient`] describes.

use std::collections::BTreeSet;
use std::sync::Arc;

use commands::RequestContext;
use commands::message::device_check::Differences;
use commands::message::send_to_many::{COPIES_AT_ONCE, Right, SendToMany, SendToManyRefused};
use crypto::multi_recipient::MultiRecipientMessage as Parsed;
use events::{DeviceId, ServiceId, Timestamp};
use tonic::{Response, Status};

use super::call::at;
use super::proto::errors::FailedUnidentifiedAuthorization;
use super::proto::messages::send_multi_recipient_message_response::Response as Outcome;
use super::proto::messages::{
    MismatchedDevices, MultiRecipientMessage, MultiRecipientMismatchedDevices,
    MultiRecipientSuccess, SendMultiRecipientMessageResponse,
};
use super::{Door, ids, status};
use crate::http::messages::multi_recipient::{count, send};

/// A message for many, taken apart.
pub(super) struct Circular {
    message: Parsed,
    timestamp: Timestamp,
    ephemeral: bool,
    urgent: bool,
}

impl Circular {
    pub(super) fn parse(
        message: Option<MultiRecipientMessage>,
        ephemeral: bool,
        urgent: bool,
    ) -> Result<Self, Status> {
        let message = message.ok_or_else(|| status::violated("message", "must be present"))?;
        let malformed = |what: String| status::violated("payload", what);
        let timestamp = Timestamp::from_epoch_millis(message.timestamp);
        let parsed = Parsed::parse(message.payload).map_err(|it| malformed(it.to_string()))?;
        parsed
            .check_sendable()
            .map_err(|it| malformed(it.to_string()))?;
        Ok(Self {
            message: parsed,
            timestamp: timestamp.map_err(|_| status::violated("timestamp", "must be a time"))?,
            ephemeral,
            urgent,
        })
    }

    pub(super) fn recipients(&self) -> BTreeSet<ServiceId> {
        let recipients = self.message.recipients();
        recipients.map(|recipient| recipient.service_id).collect()
    }

    pub(super) fn command(self, right: Right) -> SendToMany {
        SendToMany {
            message: Arc::new(self.message),
            right,
            timestamp: self.timestamp,
            online: self.ephemeral,
            urgent: self.urgent,
            from: 0,
            at_once: COPIES_AT_ONCE,
        }
    }
}

fn answer(outcome: Outcome) -> SendMultiRecipientMessageResponse {
    SendMultiRecipientMessageResponse {
        response: Some(outcome),
    }
}

/// What is shown does not open all accounts.
pub(super) fn unauthorized() -> SendMultiRecipientMessageResponse {
    answer(Outcome::FailedUnidentifiedAuthorization(
        FailedUnidentifiedAuthorization::default(),
    ))
}

fn mismatched(recipients: impl Iterator<Item = (ServiceId, Differences)>) -> Outcome {
    let one = |(recipient, differences): (ServiceId, Differences)| MismatchedDevices {
        service_identifier: Some(ids::identifier(recipient)),
        missing_devices: ids::numbers(differences.missing),
        extra_devices: ids::numbers(differences.extra),
        stale_devices: ids::numbers(differences.stale),
    };
    Outcome::MismatchedDevices(MultiRecipientMismatchedDevices {
        mismatched_devices: recipients.map(one).collect(),
    })
}

fn refusal(refused: SendToManyRefused) -> Result<Outcome, Status> {
    let stale = |(recipient, devices): (ServiceId, Vec<DeviceId>)| {
        let differences = Differences {
            stale: devices,
            ..Differences::default()
        };
        (recipient, differences)
    };
    match refused {
        // Only who shows access keys is refused because of these two, and nobody can show them here.
        SendToManyRefused::NoSuchRecipient | SendToManyRefused::Unauthorized => Ok(
            Outcome::FailedUnidentifiedAuthorization(FailedUnidentifiedAuthorization::default()),
        ),
        SendToManyRefused::TooLarge { .. } => Err(status::violated(
            "payload",
            "must not come to more than 96 KiB for a recipient",
        )),
        SendToManyRefused::MismatchedDevices { recipients } => {
            Ok(mismatched(recipients.into_iter()))
        }
        SendToManyRefused::StaleDevices { recipients } => {
            Ok(mismatched(recipients.into_iter().map(stale)))
        }
    }
}

impl Door {
    /// Accepts a message for many. Recipients who do not exist are told to members of a group only.
    pub(super) async fn send_to_many(
        &self,
        command: SendToMany,
        context: RequestContext,
    ) -> Result<Response<SendMultiRecipientMessageResponse>, Status> {
        count(&self.0, &command).await.map_err(status::limited)?;
        let tells_absent = matches!(command.right, Right::GroupMember);
        let sent = send(&self.0, command, context).await;
        match status::decided(sent)? {
            Ok(sent) => {
                // Readers of inboxes wait for the log by themselves; senders need not.
                let position = self.0.settled(&sent, &[]).await;
                let unresolved = sent.done.into_iter().filter(|_| tells_absent);
                let success = MultiRecipientSuccess {
                    unresolved_recipients: unresolved.map(ids::identifier).collect(),
                };
                Ok(at(position, answer(Outcome::Success(success))))
            }
            Err(refused) => Ok(Response::new(answer(refusal(refused)?))),
        }
    }
}
