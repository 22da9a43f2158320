//! A device tells anew what it is and how its account wants to be reached.

use async_trait::async_trait;
use events::account::{Access, AttributesChanged, DeviceTraits, Protection};
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
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<AttributesChanged>, ChangeAttributesRefused> {
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
        Ok(new.then_some(change))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{access_key, change_protection, device, registered, salted};
    use crate::testing::given;
    use events::values::Capability;

    fn unchanged() -> ChangeAttributes {
        change_protection(1, Protection::default())
    }

    #[test]
    fn saying_the_same_again_is_no_news() {
        given([(0, registered(1))])
            .when(|account, _| unchanged().decide(account))
            .accepts(None);
    }

    #[test]
    fn what_the_client_did_not_speak_of_stays() {
        let mut change = unchanged();
        change.capabilities = [Capability::Transfer].into();
        let account = given([(0, registered(1))]);
        let said = account
            .when(|account, _| change.decide(account))
            .0
            .unwrap()
            .unwrap();
        assert_eq!(said.traits.capabilities, [Capability::Transfer].into());
        assert_eq!(said.access.key, Some(access_key(1).into()));
    }

    #[test]
    fn a_missing_lock_is_removed_and_a_missing_recovery_password_is_not() {
        let set = ChangeAttributes {
            registration_lock: Some(salted("lock")),
            recovery_password: Some(salted("recovery")),
            ..unchanged()
        };
        let registered = (0, registered(1));
        let account = given([registered.clone()]);
        let set = account
            .when(|account, _| set.decide(account))
            .0
            .unwrap()
            .unwrap();
        let account = given([registered.clone(), (1, set.clone().into())]);
        let removed = account
            .when(|account, _| unchanged().decide(account))
            .0
            .unwrap()
            .unwrap();
        let history = [registered, (1, set.into()), (2, removed.into())];
        given(history)
            .when(|account: &Account, _| account.live.clone().unwrap().protection)
            .then(Protection {
                registration_lock: None,
                recovery_password: Some(salted("recovery")),
            });
    }

    #[test]
    fn an_access_key_can_be_taken_away() {
        let change = ChangeAttributes {
            access_key: AccessKeyChange::Clear,
            ..unchanged()
        };
        let account = given([(0, registered(1))]);
        let said = account
            .when(|account, _| change.decide(account))
            .0
            .unwrap()
            .unwrap();
        assert_eq!(said.access.key, None);
    }

    #[test]
    fn a_device_that_is_gone_has_nothing_to_say() {
        let stranger = ChangeAttributes {
            device: device(4),
            ..unchanged()
        };
        given([(0, registered(1))])
            .when(|account, _| stranger.decide(account))
            .refuses(ChangeAttributesRefused::NoSuchDevice);
    }
}
