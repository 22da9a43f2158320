//! A device was heard of.

use std::time::Duration;

use async_trait::async_trait;
use events::account::DeviceSeen;
use events::{Aci, DeviceId, StreamId, Timestamp};

use super::state::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

const DAY: Duration = Duration::from_hours(24);

/// Notes that a device proved its password: once a day, which is as exact as anybody may know. Doors call it when the
/// roster's last-seen day is over ([`day`]).
#[derive(Clone, Copy, Debug)]
pub struct MarkSeen {
    /// The account.
    pub aci: Aci,
    /// The device.
    pub device: DeviceId,
}

/// The number of the account's day, from 1970 on. Accounts change days at different times (by the low bits of their
/// ids), so that not all of them are marked at midnight.
pub fn day(aci: Aci, at: Timestamp) -> u64 {
    let [.., high, low] = aci.as_bytes();
    let offset = Duration::from_secs(u64::from(u16::from_be_bytes([*high, *low])));
    let millis = u64::try_from(DAY.as_millis()).expect("a day is short");
    at.plus(offset).epoch_millis() / millis
}

impl MarkSeen {
    /// The rule.
    pub fn decide(&self, account: &Account, at: Timestamp) -> Option<DeviceSeen> {
        let (_, device) = account.with_device(self.device)?;
        let new_day = day(self.aci, device.last_seen) < day(self.aci, at);
        new_day.then_some(DeviceSeen {
            device: self.device,
        })
    }
}

#[async_trait]
impl Command for MarkSeen {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "MarkSeen";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account, work.at()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{device, registered};
    use crate::testing::{at, given};
    use uuid::Uuid;

    fn account(low_bits: u128) -> Aci {
        Aci::from_uuid(Uuid::from_u128(low_bits))
    }

    #[test]
    fn a_device_is_seen_once_a_day() {
        let seen = |aci, seconds| {
            let account = given::<Account>([(0, registered(1))]).at(seconds);
            let mark = MarkSeen {
                aci,
                device: device(1),
            };
            account
                .when(|account, at| mark.decide(account, at))
                .0
                .is_some()
        };
        let midnight = account(0);
        assert!(!seen(midnight, 86_399));
        assert!(seen(midnight, 86_400));
        let an_hour_early = account(3_600);
        assert!(!seen(an_hour_early, 82_799));
        assert!(seen(an_hour_early, 82_800));
    }

    #[test]
    fn nobody_is_seen_on_a_device_that_is_gone() {
        let mark = MarkSeen {
            aci: account(0),
            device: device(2),
        };
        given([(0, registered(1))])
            .at(900_000)
            .when(|a, at| mark.decide(a, at))
            .then(None);
        assert_eq!(day(account(0), at(0)) + 1, day(account(0), at(86_400)));
    }
}
