//! Nobody fetched messages in time.

use async_trait::async_trait;
use events::ids::DeviceAddress;
use events::mailbox::{MailboxEvent, MessagesExpired};
use events::{MessageGuid, StreamId};

use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Takes messages out of a device's mailbox that have waited for too long. Their senders learn nothing. An empty list does
/// nothing; a message that was delivered meanwhile, or has expired already, is gone either way.
#[derive(Clone, Debug)]
pub struct ExpireMessages {
    /// The device.
    pub mailbox: DeviceAddress,
    /// Which messages.
    pub guids: Vec<MessageGuid>,
}

#[async_trait]
impl Command for ExpireMessages {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "ExpireMessages";

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        if !self.guids.is_empty() {
            let guids = self.guids.clone();
            let expired = MailboxEvent::from(MessagesExpired { guids });
            work.record_anywhere(StreamId::mailbox(self.mailbox), expired);
        }
        Ok(())
    }
}
