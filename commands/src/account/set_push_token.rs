//! A device says how it is woken.

use async_trait::async_trait;
use events::account::{PushToken, PushTokenChanged};
use events::values::Redacted;
use events::{Aci, DeviceId, Personal, StreamId};

use super::state::{Account, Device};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Wakes the device by this token from now on, or not at all. If it is so already, nothing happens.
#[derive(Clone, Debug)]
pub struct SetPushToken {
    /// The account.
    pub aci: Aci,
    /// The device.
    pub device: DeviceId,
    /// What is to be different.
    pub change: PushChange,
}

/// What can be different about how a device is woken.
#[derive(Clone, Debug)]
pub enum PushChange {
    /// By this token.
    Wake(Redacted<PushToken>),
    /// Not at all; so says an application that was woken through this service.
    Leave(PushService),
}

/// The push services. A device whose token is taken away is known by the application that used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushService {
    /// Apple.
    Apn,
    /// Google.
    Fcm,
}

impl PushService {
    /// What a device is known as that this service does not wake any more.
    pub(super) fn application(self, device: DeviceId) -> &'static str {
        match self {
            Self::Fcm => "OWA",
            Self::Apn if device.is_primary() => "OWI",
            Self::Apn => "OWP",
        }
    }
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetPushTokenRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
}

impl Refusal for SetPushTokenRefused {}

impl SetPushToken {
    /// The rule.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<PushTokenChanged>, SetPushTokenRefused> {
        let (_, device) = account
            .with_device(self.device)
            .ok_or(SetPushTokenRefused::NoSuchDevice)?;
        let (push, agent) = match &self.change {
            PushChange::Wake(token) => (Some(Personal::Clear(token.0.clone())), None),
            PushChange::Leave(service) => (None, Some(service.application(self.device).into())),
        };
        let changed = PushTokenChanged {
            device: self.device,
            push,
            agent,
        };
        Ok((!Self::is_so(&changed, device)).then_some(changed))
    }

    fn is_so(changed: &PushTokenChanged, device: &Device) -> bool {
        let agent = changed.agent.is_none() || device.traits.agent == changed.agent;
        device.push == changed.push && !device.traits.fetches_messages && agent
    }
}

#[async_trait]
impl Command for SetPushToken {
    type Done = ();
    type Refused = SetPushTokenRefused;
    const NAME: &'static str = "SetPushToken";

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
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;

    fn set(id: u32, change: PushChange) -> SetPushToken {
        SetPushToken {
            aci: aci(1),
            device: device(id),
            change,
        }
    }

    fn wake() -> PushChange {
        PushChange::Wake(Redacted(fcm()))
    }

    fn fcm() -> PushToken {
        PushToken::Fcm("token".into())
    }

    #[test]
    fn a_token_takes_the_place_of_all_other_ways() {
        let changed = PushTokenChanged {
            device: device(1),
            push: Some(fcm().into()),
            agent: None,
        };
        given([(0, registered(1))])
            .when(|account, _| set(1, wake()).decide(account))
            .accepts(Some(changed.clone()));
        let woken = given([(0, registered(1)), (1, changed.into())]);
        woken
            .when(|account: &Account, _| {
                let (_, device) = account.with_device(device(1)).unwrap();
                device.traits.fetches_messages
            })
            .then(false);
        woken
            .when(|account, _| set(1, wake()).decide(account))
            .accepts(None);
    }

    #[test]
    fn without_its_token_a_device_is_known_by_its_application() {
        let account = given([(0, registered(1)), (1, linked(2, 2))]);
        for (id, service, agent) in [
            (1, PushService::Fcm, "OWA"),
            (1, PushService::Apn, "OWI"),
            (2, PushService::Apn, "OWP"),
        ] {
            let changed = PushTokenChanged {
                device: device(id),
                push: None,
                agent: Some(agent.into()),
            };
            account
                .when(|account, _| set(id, PushChange::Leave(service)).decide(account))
                .accepts(Some(changed));
        }
        account
            .when(|account, _| set(3, wake()).decide(account))
            .refuses(SetPushTokenRefused::NoSuchDevice);
    }
}
