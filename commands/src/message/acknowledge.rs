//! A device has its messages, and their senders learn of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use events::ids::DeviceAddress;
use events::mailbox::{
    EnvelopeKind, MailboxEvent, MessageQueued, MessageSource, MessagesDelivered,
};
use events::{Aci, MessageGuid, ServiceId, StreamId, Timestamp};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Takes messages out of a device's mailbox, and queues a receipt for each sender who said who they are. An empty list does
/// nothing; doing it twice delivers nothing twice, but may send a receipt twice.
#[derive(Clone, Debug)]
pub struct Acknowledge {
    /// The device.
    pub mailbox: DeviceAddress,
    /// Which messages, with what the envelope said of them.
    pub messages: Vec<Delivered>,
}

/// A message that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The server's name for it.
    pub guid: MessageGuid,
    /// What it was.
    pub kind: EnvelopeKind,
    /// Who sent it, if they said.
    pub source: Option<MessageSource>,
    /// The identity that it was addressed to.
    pub destination: ServiceId,
    /// The sender's own timestamp, by which the receipt names it.
    pub client_timestamp: Timestamp,
}

impl Delivered {
    /// The account that is owed a receipt: not for sealed messages, not for receipts, not for one's own messages.
    pub fn receipt_to(&self, recipient: Aci) -> Option<Aci> {
        match self.source?.service_id {
            _ if self.kind == EnvelopeKind::ServerDeliveryReceipt => None,
            ServiceId::Aci(sender) => (sender != recipient).then_some(sender),
            ServiceId::Pni(_) => None,
        }
    }

    fn receipt(&self, guid: MessageGuid, mailbox: DeviceAddress, sender: Aci) -> MessageQueued {
        MessageQueued {
            guid,
            kind: EnvelopeKind::ServerDeliveryReceipt,
            client_timestamp: self.client_timestamp,
            source: Some(MessageSource {
                service_id: self.destination,
                device: mailbox.device,
            }),
            destination: sender.into(),
            content: None,
            share: None,
            urgent: false,
            story: false,
            updated_pni: None,
        }
    }
}

#[async_trait]
impl Command for Acknowledge {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "Acknowledge";

    /// Writes the mailbox before the receipts: cut short, a receipt is lost, which a sender must expect anyway.
    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let guids = self.messages.iter().map(|message| message.guid).collect();
        let delivered = MailboxEvent::from(MessagesDelivered { guids });
        work.record_anywhere(StreamId::mailbox(self.mailbox), delivered);
        let mut by_sender: BTreeMap<Aci, Vec<&Delivered>> = BTreeMap::new();
        for message in &self.messages {
            if let Some(sender) = message.receipt_to(self.mailbox.aci) {
                by_sender.entry(sender).or_default().push(message);
            }
        }
        for (sender, messages) in by_sender {
            let account = work.load::<Account>(sender).await?;
            let devices = account.live.iter().flat_map(|live| live.addresses(sender));
            for address in devices {
                for message in &messages {
                    let guid = MessageGuid::from_random(work.entropy().bytes());
                    let receipt = message.receipt(guid, self.mailbox, sender);
                    work.record_anywhere(StreamId::mailbox(address), MailboxEvent::from(receipt));
                }
            }
        }
        Ok(())
    }
}
