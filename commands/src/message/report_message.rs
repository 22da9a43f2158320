//! A device reports a message as spam.

use async_trait::async_trait;
use events::ids::DeviceAddress;
use events::mailbox::{MailboxEvent, MessageReported};
use events::{Aci, MessageGuid, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Notes that a message is not wanted, with those who got it. Whether it was ever sent is not asked: the server forgets
/// messages once they are delivered. Reports about oneself, or about nobody, change nothing.
#[derive(Clone, Debug)]
pub struct ReportMessage {
    /// The device.
    pub mailbox: DeviceAddress,
    /// Which message.
    pub guid: MessageGuid,
    /// Who is said to have sent it.
    pub source: Aci,
}

#[async_trait]
impl Command for ReportMessage {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "ReportMessage";

    /// Reports have no invariant with each other, nor with messages.
    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let source = work.load::<Account>(self.source).await?;
        if source.live.is_some() && self.source != self.mailbox.aci {
            let reported = MailboxEvent::from(MessageReported {
                guid: self.guid,
                source: self.source,
            });
            work.record_anywhere(StreamId::mailbox(self.mailbox), reported);
        }
        Ok(())
    }
}
