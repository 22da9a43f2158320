//! A device tells anew what it is and how its account wants to be reached.

use async_trait::async_trait;
use events::account::{Access, AccountEvent, AttributesChanged, DeviceTraits, Protection};
use events::values::hashes::{SaltedHash, UnidentifiedAccessKey};
use events::values::{Capabilities, EncryptedDeviceName};
use events::{Aci, DeviceId, Personal, StreamId};

use super::state::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Changes what the calling device says of itself and what the account says of itself. Registration ids stay.
#[derive(Clone, Debug)]
pub struct ChangeAttributes {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// The device's name; `None` removes it.
    pub name: Option<EncryptedDeviceName>,
    /// Whether the device fetches messages without being woken.
    pub fetches_messages: bool,
    /// What the device can do.
    pub capabilities: Capabilities,
    /// The kind of application; `None` leaves what is known.
    pub agent: Option<Box<str>>,
    /// What anonymous senders must know.
    pub access_key: AccessKeyChange,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted: bool,
    /// Whether the account can be found by its number.
    pub discoverable: bool,
    /// The registration lock; `None` removes it.
    pub registration_lock: Option<SaltedHash>,
    /// The recovery password; `None` leaves the earlier one in force.
    pub recovery_password: Option<SaltedHash>,
}

/// What becomes of the access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessKeyChange {
    /// It stays: the client did not speak of it.
    Keep,
    /// It is removed.
    Clear,
    /// It is replaced.
    Set(UnidentifiedAccessKey),
}

/// Why attributes may not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeAttributesRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
}

impl Refusal for ChangeAttributesRefused {}

impl ChangeAttributes {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Result<Vec<AccountEvent>, ChangeAttributesRefused> {
        let (live, device) = account
            .with_device(self.device)
            .ok_or(ChangeAttributesRefused::NoSuchDevice)?;
        let change = AttributesChanged {
            device: self.device,
            traits: DeviceTraits {
                name: self.name.clone(),
                fetches_messages: self.fetches_messages,
                capabilities: self.capabilities.clone(),
                agent: self.agent.clone().or_else(|| device.traits.agent.clone()),
            },
            access: Access {
                key: match &self.access_key {
                    AccessKeyChange::Keep => live.access_key().cloned().map(Personal::Clear),
                    AccessKeyChange::Clear => None,
                    AccessKeyChange::Set(key) => Some(key.clone().into()),
                },
                unrestricted: self.unrestricted,
                discoverable: self.discoverable,
            },
            protection: Protection {
                registration_lock: self.registration_lock.clone(),
                recovery_password: self.recovery_password.clone(),
            },
        };
        let new = change.traits != device.traits
            || change.access != live.access
            || change.protection.registration_lock != live.protection.registration_lock
            || change.protection.recovery_password.is_some();
        Ok(new.then(|| change.into()).into_iter().collect())
    }
}

#[async_trait]
impl Command for ChangeAttributes {
    type Done = ();
    type Refused = ChangeAttributesRefused;
    const NAME: &'static str = "ChangeAttributes";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<ChangeAttributesRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}
