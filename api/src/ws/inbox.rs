//! The mailbox of a device, from read models and commands.

use async_trait::async_trait;
use commands::Failure;
use commands::command::NeverRefused;
use commands::message::acknowledge::{Acknowledge, Delivered};
use events::ids::DeviceAddress;
use events::store::PayloadsUnavailable;
use events::{Actor, Position};
use projections::inbox::{Arrival, InboxCursor, PageLimits};
use projections::{Model, QueryError};

use crate::contents::{self, InboxMessage};
use crate::limits::socket as limits;
use crate::state::Api;
use crate::ws::mailbox::{Mailbox, MailboxUnavailable, NotAcknowledged, Page, Present};

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

    async fn page(&self, after: Position, bytes: usize) -> Result<Page, MailboxUnavailable> {
        let rows = u32::try_from(limits::ENVELOPES).expect("256 fit");
        let limits = PageLimits {
            rows,
            bytes: bytes as u64,
        };
        let inbox = self.api.queries.inbox();
        let page = inbox
            .page(self.address, Some(InboxCursor(after)), limits)
            .await?;
        Ok(Page {
            messages: self.contents(&page.messages).await?,
            reached: page.reached(),
            more: page.more,
        })
    }

    async fn contents(
        &self,
        arrivals: &[Arrival],
    ) -> Result<Vec<InboxMessage>, MailboxUnavailable> {
        Ok(contents::load(&*self.api.payloads, arrivals).await?)
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
