//! Wakes devices that are not connected when messages wait for them.
//!
//! The reactor turns messages into rows of `live.wakes`, one for each device however many come: that is the coalescing. The
//! [`Waker`] takes what is due, asks once more whether the device is connected and whether anything still waits, and hands a
//! push to the device's service. What fails for the moment is tried again, later and later; a token that the service does not
//! know is taken off the device by a command.

mod apns;
mod fcm;
mod services;
mod waker;
mod wakes;
mod webhook;

use std::collections::BTreeMap;

use async_trait::async_trait;
use events::Family;
use events::codec::{AnyEvent, Fact};
use events::ids::DeviceAddress;
use events::mailbox::MailboxEvent;
use live::Connected;
use sqlx::PgPool;
use subscription::{Begins, Reactor, Trouble};

pub use apns::ApnsOptions;
pub use fcm::{FcmOptions, ServiceAccount};
pub use services::{Services, ServicesOptions};
pub use waker::{Waker, WakerOptions};
use wakes::{Came, Cause};
pub use wakes::{Pauses, Wakes};
pub use webhook::WebhookOptions;

/// The reactor.
pub struct Push {
    wakes: Wakes,
    connected: Connected,
}

impl Push {
    /// Notes what is due where `database` says, unless the device is connected.
    pub const fn new(database: PgPool, connected: Connected, pauses: Pauses) -> Self {
        Self {
            wakes: Wakes::new(database, pauses),
            connected,
        }
    }
}

#[async_trait]
impl Reactor for Push {
    fn name(&self) -> &'static str {
        "push"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Mailbox]
    }

    fn begins(&self) -> Begins {
        Begins::Now
    }

    async fn react(&self, facts: &[&Fact]) -> Result<(), Trouble> {
        let mut came: BTreeMap<DeviceAddress, Came> = BTreeMap::new();
        for fact in facts {
            if let AnyEvent::Mailbox(MailboxEvent::MessageQueued(message)) = &fact.event
                && let Some(to) = fact.stream.as_mailbox()
            {
                let urgent = message.urgent || came.get(&to).is_some_and(|before| before.urgent);
                let cause = Cause {
                    event: fact.id,
                    chain: fact.metadata.chain(),
                };
                came.insert(to, Came { to, urgent, cause });
            }
        }
        let Some(first) = facts.first().filter(|_| !came.is_empty()) else {
            return Ok(());
        };
        let addresses: Vec<_> = came.keys().copied().collect();
        let connected = self
            .connected
            .among(&addresses)
            .await
            .map_err(|error| Trouble::at(first, &error))?;
        came.retain(|address, _| !connected.contains(address));
        self.wakes
            .note(&came.into_values().collect::<Vec<_>>())
            .await
            .map_err(|error| Trouble::at(first, &error))
    }
}
