//! A device leaves an account.

use async_trait::async_trait;
use events::account::DeviceRemoved;
use events::ids::DeviceAddress;
use events::{Aci, DeviceId, StreamId};

use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Detaches a device: the primary may remove any other, every other device itself.
#[derive(Clone, Copy, Debug)]
pub struct RemoveDevice {
    /// The account.
    pub aci: Aci,
    /// The device that asks.
    pub caller: DeviceId,
    /// The device that shall go.
    pub target: DeviceId,
}

/// Why the device stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveDeviceRefused {
    /// A linked device cannot remove another one.
    #[error("only the primary device removes others")]
    NotPrimary,
    /// The primary device goes with the account only.
    #[error("the primary device cannot be removed")]
    PrimaryStays,
    /// The account has no such device, or no longer. Whether that is a success is for the door to say.
    #[error("no such device")]
    NoSuchDevice,
}

impl Refusal for RemoveDeviceRefused {}

impl RemoveDevice {
    /// The rule, in the order in which clients know the refusals.
    pub fn decide(&self, account: &Account) -> Result<DeviceRemoved, RemoveDeviceRefused> {
        if !self.caller.is_primary() && self.caller != self.target {
            return Err(RemoveDeviceRefused::NotPrimary);
        }
        if self.target.is_primary() {
            return Err(RemoveDeviceRefused::PrimaryStays);
        }
        let (_, device) = account
            .with_device(self.target)
            .ok_or(RemoveDeviceRefused::NoSuchDevice)?;
        Ok(DeviceRemoved {
            device: self.target,
            generation: device.generation,
        })
    }
}

#[async_trait]
impl Command for RemoveDevice {
    /// The address that nobody has any more.
    type Done = DeviceAddress;
    type Refused = RemoveDeviceRefused;
    const NAME: &'static str = "RemoveDevice";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<DeviceAddress, Stop<RemoveDeviceRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let removed = self.decide(&account)?;
        let address = DeviceAddress {
            aci: self.aci,
            device: removed.device,
            generation: removed.generation,
        };
        work.record(&account, [removed]);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;
    use RemoveDeviceRefused::{NoSuchDevice, NotPrimary, PrimaryStays};
    use events::{Generation, Timestamp};

    fn removing(
        caller: u32,
        target: u32,
    ) -> impl FnOnce(&Account, Timestamp) -> Result<DeviceRemoved, RemoveDeviceRefused> {
        let (caller, target) = (device(caller), device(target));
        move |account, _| {
            RemoveDevice {
                aci: aci(1),
                caller,
                target,
            }
            .decide(account)
        }
    }

    #[test]
    fn the_primary_removes_others_and_others_remove_themselves() {
        let account = given([(0, registered(1)), (1, linked(2, 2)), (2, linked(3, 3))]);
        let removed = |id, generation| DeviceRemoved {
            device: device(id),
            generation: Generation(generation),
        };
        account.when(removing(1, 2)).accepts(removed(2, 2));
        account.when(removing(3, 3)).accepts(removed(3, 3));
        account.when(removing(2, 3)).refuses(NotPrimary);
        account.when(removing(2, 1)).refuses(NotPrimary);
        account.when(removing(1, 1)).refuses(PrimaryStays);
        account.when(removing(1, 4)).refuses(NoSuchDevice);
    }
}
