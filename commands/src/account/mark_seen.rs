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
