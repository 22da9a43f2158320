//! A device tells anew what it can do.

use async_trait::async_trait;
use events::account::DeviceCapabilitiesChanged;
use events::values::Capabilities;
use events::{Aci, DeviceId, StreamId};

use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Puts these capabilities in the place of those that the calling device has.
#[derive(Clone, Debug)]
pub struct ChangeCapabilities {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// All that it can do.
    pub capabilities: Capabilities,
}

/// Why they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeCapabilitiesRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
}

impl Refusal for ChangeCapabilitiesRefused {}

impl ChangeCapabilities {
    /// The rule. What the device can do already is no news.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<DeviceCapabilitiesChanged>, ChangeCapabilitiesRefused> {
        let (_, device) = account
            .with_device(self.device)
            .ok_or(ChangeCapabilitiesRefused::NoSuchDevice)?;
        let news = device.traits.capabilities != self.capabilities;
        Ok(news.then(|| DeviceCapabilitiesChanged {
            device: self.device,
            capabilities: self.capabilities.clone(),
        }))
    }
}

#[async_trait]
impl Command for ChangeCapabilities {
    type Done = ();
    type Refused = ChangeCapabilitiesRefused;
    const NAME: &'static str = "ChangeCapabilities";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<ChangeCapabilitiesRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let changed = self.decide(&account)?;
        work.record(&account, changed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;
    use events::values::Capability;

    #[test]
    fn what_a_device_can_do_is_replaced_and_a_repeat_is_no_news() {
        let account = given([(0, registered(1)), (1, linked(2, 2))]);
        let change = |id, capabilities: &[Capability]| {
            let change = ChangeCapabilities {
                aci: aci(1),
                device: device(id),
                capabilities: capabilities.iter().copied().collect(),
            };
            account.when(|account, _| change.decide(account))
        };
        change(2, &[Capability::Storage]).accepts(None);
        let changed = DeviceCapabilitiesChanged {
            device: device(2),
            capabilities: [Capability::Spqr].into(),
        };
        change(2, &[Capability::Spqr]).accepts(Some(changed.clone()));
        change(3, &[]).refuses(ChangeCapabilitiesRefused::NoSuchDevice);
        let mut later: Account = account.when(|account, _| account.clone()).0;
        crate::Aggregate::evolve(&mut later, &changed.into(), crate::testing::at(2));
        assert!(later.live.unwrap().devices[&device(2)].can(Capability::Spqr));
    }
}
