//! A push service does not know a device's token.

use async_trait::async_trait;
use events::account::{PushToken, PushTokenChanged};
use events::ids::DeviceAddress;
use events::values::Redacted;
use events::{Personal, StreamId};

use super::state::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Takes the token off the device, unless the device is gone or has another one by now.
#[derive(Clone, Debug)]
pub struct DropPushToken {
    /// The device.
    pub device: DeviceAddress,
    /// The token that is of no use.
    pub token: Redacted<PushToken>,
}

impl DropPushToken {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Option<PushTokenChanged> {
        let (_, device) = account.with_device(self.device.device)?;
        let known = device.push.as_ref().and_then(Personal::known);
        let same = device.generation == self.device.generation && known == Some(&self.token.0);
        same.then_some(PushTokenChanged {
            device: self.device.device,
            push: None,
            agent: None,
        })
    }
}

#[async_trait]
impl Command for DropPushToken {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "DropPushToken";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.device.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.device.aci).await?;
        work.record(&account, self.decide(&account));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, registered};
    use events::Generation;
    use events::account::AccountEvent;

    fn token(text: &str) -> PushToken {
        PushToken::Fcm(text.into())
    }

    fn account() -> Account {
        let changed = PushTokenChanged {
            device: device(1),
            push: Some(Personal::Clear(token("one"))),
            agent: None,
        };
        let mut account = Account::default();
        for event in [registered(1), AccountEvent::from(changed)] {
            crate::Aggregate::evolve(&mut account, &event, events::Timestamp::default());
        }
        account
    }

    fn dropping(generation: u32, text: &str) -> Option<PushTokenChanged> {
        let command = DropPushToken {
            device: DeviceAddress {
                aci: aci(1),
                device: device(1),
                generation: Generation(generation),
            },
            token: Redacted(token(text)),
        };
        command.decide(&account())
    }

    #[test]
    fn a_token_goes_unless_the_device_has_another_one_by_now() {
        let dropped = dropping(1, "one").unwrap();
        assert_eq!((dropped.device, dropped.push), (device(1), None));
        assert_eq!(dropping(1, "another"), None);
        assert_eq!(dropping(2, "one"), None);
        assert_eq!(
            DropPushToken {
                device: DeviceAddress {
                    aci: aci(1),
                    device: device(2),
                    generation: Generation(1)
                },
                token: Redacted(token("one")),
            }
            .decide(&account()),
            None
        );
    }
}
