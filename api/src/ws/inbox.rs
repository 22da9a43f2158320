//! The mailbox of a device, from read models and commands.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use commands::Failure;
use commands::command::NeverRefused;
use commands::message::acknowledge::{Acknowledge, Delivered};
use events::ids::DeviceAddress;
use events::mailbox::Share;
use events::store::{PayloadSlice, PayloadsUnavailable};
use events::{Actor, PayloadRef, Position};
use projections::inbox::{Arrival, InboxCursor, InboxMessage, InboxPage, PageLimits};
use projections::{Model, QueryError};

use crate::limits::socket as limits;
use crate::state::Api;
use crate::ws::mailbox::{Mailbox, MailboxUnavailable, NotAcknowledged, Present};

/// The mailbox of one device.
pub(crate) struct Inbox {
    pub(crate) api: Api,
    pub(crate) address: DeviceAddress,
}

#[async_trait]
impl Mailbox for Inbox {
    async fn present(&self) -> Result<Present, MailboxUnavailable> {
        let head = self.api.queries.head().await?;
        // A device that was removed a moment ago may still stand in the roster until then.
        self.api
            .queries
            .caught_up(&[Model::Devices], head, limits::CATCH_UP)
            .await;
        let device = self
            .api
            .queries
            .devices()
            .one(self.address.aci, self.address.device)
            .await?;
        let authentic = device.is_some_and(|device| device.address() == self.address);
        Ok(Present { head, authentic })
    }

    async fn caught_up(&self, position: Position) -> bool {
        self.api
            .queries
            .caught_up(&[Model::Inbox], position, limits::CATCH_UP)
            .await
    }

    async fn page(&self, after: Position, bytes: usize) -> Result<InboxPage, MailboxUnavailable> {
        let rows = u32::try_from(limits::ENVELOPES).expect("256 fit");
        let limits = PageLimits {
            rows,
            bytes: bytes as u64,
        };
        Ok(self
            .api
            .queries
            .inbox()
            .page(self.address, Some(InboxCursor(after)), limits)
            .await?)
    }

    async fn contents(
        &self,
        arrivals: &[Arrival],
    ) -> Result<Vec<InboxMessage>, MailboxUnavailable> {
        let wanted: Vec<_> = arrivals.iter().flat_map(slices).collect();
        let found = if wanted.is_empty() {
            Vec::new()
        } else {
            self.api.payloads.fetch(&wanted).await?
        };
        let mut found = found.into_iter();
        let message = |arrival: &Arrival| {
            let parts: Vec<_> = found.by_ref().take(slices(arrival).count()).collect();
            let content = match &parts[..] {
                [] => None,
                [whole] => Some(whole.clone()?),
                parts => Some(shared(parts)?),
            };
            Some(InboxMessage {
                entry: arrival.entry.clone(),
                content,
            })
        };
        Ok(arrivals.iter().filter_map(message).collect())
    }

    async fn acknowledge(&self, messages: Vec<Delivered>) -> Result<(), NotAcknowledged> {
        let context = self
            .api
            .executor
            .request_by(Actor::Device(self.address.aci, self.address.device));
        let command = Acknowledge {
            mailbox: self.address,
            messages,
        };
        match self.api.executor.execute(&command, &context).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(never)) => match never {},
            Err(Failure::Overloaded { retry_after }) => Err(NotAcknowledged::Later(retry_after)),
            Err(error @ Failure::Contended { .. }) => Err(failed(error)),
            Err(Failure::Unavailable(source)) => Err(NotAcknowledged::Failed(source)),
        }
    }
}

/// The parts of a message's payload that make its content: none, all of it, or the two of a share.
fn slices(arrival: &Arrival) -> impl Iterator<Item = PayloadSlice> {
    let slice = |PayloadRef { id, .. }, offset, length| PayloadSlice { id, offset, length };
    let slices = match (arrival.content, arrival.share) {
        (None, _) => [None, None],
        (Some(content), None) => [Some(slice(content, 0, content.length)), None],
        (
            Some(content),
            Some(Share {
                key_material,
                common,
            }),
        ) => [
            Some(slice(content, key_material, Share::KEY_MATERIAL)),
            Some(slice(
                content,
                common,
                content.length.saturating_sub(common),
            )),
        ],
    };
    slices.into_iter().flatten()
}

/// What is delivered of a message to many; `None` if it is erased.
fn shared(parts: &[Option<Bytes>]) -> Option<Bytes> {
    let mut content = BytesMut::from(&[Share::VERSION][..]);
    for part in parts {
        content.extend_from_slice(part.as_ref()?);
    }
    Some(content.freeze())
}

fn failed(error: Failure<NeverRefused>) -> NotAcknowledged {
    NotAcknowledged::Failed(Box::new(error))
}

impl From<PayloadsUnavailable> for MailboxUnavailable {
    fn from(error: PayloadsUnavailable) -> Self {
        Self(Box::new(error))
    }
}

impl From<QueryError> for MailboxUnavailable {
    fn from(error: QueryError) -> Self {
        Self(Box::new(error))
    }
}
