//! A device gets another name.

use async_trait::async_trait;
use events::account::DeviceRenamed;
use events::values::EncryptedDeviceName;
use events::{Aci, DeviceId, StreamId};

use super::state::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Gives a device a name: the primary to any device, every other to itself. The name that it has already does nothing.
#[derive(Clone, Debug)]
pub struct RenameDevice {
    /// The account.
    pub aci: Aci,
    /// The device that asks.
    pub caller: DeviceId,
    /// The device that gets the name.
    pub target: DeviceId,
    /// The name.
    pub name: EncryptedDeviceName,
}

/// Why the name stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenameDeviceRefused {
    /// The account has no such device.
    #[error("no such device")]
    NoSuchDevice,
    /// A linked device cannot name another one.
    #[error("only the primary device names others")]
    NotPrimary,
}

impl Refusal for RenameDeviceRefused {}

impl RenameDevice {
    /// The rule, in the order in which clients know the refusals.
    pub fn decide(&self, account: &Account) -> Result<Option<DeviceRenamed>, RenameDeviceRefused> {
        let (_, device) = account
            .with_device(self.target)
            .ok_or(RenameDeviceRefused::NoSuchDevice)?;
        if !self.caller.is_primary() && self.caller != self.target {
            return Err(RenameDeviceRefused::NotPrimary);
        }
        let new = device.traits.name.as_ref() != Some(&self.name);
        Ok(new.then(|| DeviceRenamed {
            device: self.target,
            name: self.name.clone(),
        }))
    }
}

#[async_trait]
impl Command for RenameDevice {
    type Done = ();
    type Refused = RenameDeviceRefused;
    const NAME: &'static str = "RenameDevice";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<RenameDeviceRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;

    #[test]
    fn the_primary_names_all_and_others_name_themselves() {
        let account = given([(0, registered(1)), (1, linked(2, 2)), (2, linked(3, 3))]);
        let name = || EncryptedDeviceName::try_from(vec![1, 2, 3]).unwrap();
        let rename = |caller, target| RenameDevice {
            aci: aci(1),
            caller: device(caller),
            target: device(target),
            name: name(),
        };
        let renamed = |target| DeviceRenamed {
            device: device(target),
            name: name(),
        };
        for (caller, target) in [(1, 1), (1, 3), (3, 3)] {
            account
                .when(|account, _| rename(caller, target).decide(account))
                .accepts(Some(renamed(target)));
        }
        account
            .when(|account, _| rename(2, 3).decide(account))
            .refuses(RenameDeviceRefused::NotPrimary);
        account
            .when(|account, _| rename(2, 4).decide(account))
            .refuses(RenameDeviceRefused::NoSuchDevice);
        given([(0, registered(1)), (1, renamed(1).into())])
            .when(|account, _| rename(1, 1).decide(account))
            .accepts(None);
    }
}
