//! A device goes on without being woken.

use async_trait::async_trait;
use events::account::{DeviceFetchesMessages, PushToken};
use events::{Aci, DeviceId, Personal, StreamId};

use super::set_push_token::{PushService, SetPushTokenRefused};
use super::state::{Account, Device};
use crate::command::{Command, Stop};
use crate::executor::work::Work;

/// Takes whatever wakes the device off it; it fetches its messages by itself from now on. If it does so already, nothing
/// happens.
#[derive(Clone, Copy, Debug)]
pub struct ClearPushToken {
    /// The account.
    pub aci: Aci,
    /// The device.
    pub device: DeviceId,
}

impl ClearPushToken {
    /// The rule.
    pub fn decide(
        self,
        account: &Account,
    ) -> Result<Option<DeviceFetchesMessages>, SetPushTokenRefused> {
        let (_, device) = account
            .with_device(self.device)
            .ok_or(SetPushTokenRefused::NoSuchDevice)?;
        let is_so = device.push.is_none() && device.traits.fetches_messages;
        let agent = service(device).map(|service| service.application(self.device).into());
        Ok((!is_so).then_some(DeviceFetchesMessages {
            device: self.device,
            agent,
        }))
    }
}

/// What wakes the device, as far as that can still be read.
fn service(device: &Device) -> Option<PushService> {
    let token = device.push.as_ref().and_then(Personal::known)?;
    Some(match token {
        PushToken::Apn(_) => PushService::Apn,
        PushToken::Fcm(_) => PushService::Fcm,
    })
}

#[async_trait]
impl Command for ClearPushToken {
    type Done = ();
    type Refused = SetPushTokenRefused;
    const NAME: &'static str = "ClearPushToken";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetPushTokenRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, registered};
    use crate::testing::given;
    use events::account::PushTokenChanged;

    fn clear(id: u32) -> ClearPushToken {
        ClearPushToken {
            aci: aci(1),
            device: device(id),
        }
    }

    #[test]
    fn a_device_that_is_not_woken_fetches_by_itself() {
        let woken = PushTokenChanged {
            device: device(1),
            push: Some(PushToken::Apn("token".into()).into()),
            agent: None,
        };
        let fetches = DeviceFetchesMessages {
            device: device(1),
            agent: Some("OWI".into()),
        };
        let woken = [(0, registered(1)), (1, woken.into())];
        given(woken.clone())
            .when(|account, _| clear(1).decide(account))
            .accepts(Some(fetches.clone()));
        let [registered, woken] = woken;
        let cleared = given([registered, woken, (2, fetches.into())]);
        cleared
            .when(|account: &Account, _| {
                let (_, device) = account.with_device(device(1)).unwrap();
                (device.push.is_some(), device.traits.fetches_messages)
            })
            .then((false, true));
        cleared
            .when(|account, _| clear(1).decide(account))
            .accepts(None);
        cleared
            .when(|account, _| clear(2).decide(account))
            .refuses(SetPushTokenRefused::NoSuchDevice);
    }
}
