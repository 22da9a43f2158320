//! A device says where another one, which has just been linked, finds the account's history.

use async_trait::async_trait;
use events::account::{TransferArchive, TransferArchiveOffered};
use events::{Aci, DeviceId, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Offers an archive to a device. If the account has no such device, or no longer, nobody will ask for it, and nothing
/// happens.
#[derive(Clone, Debug)]
pub struct OfferArchive {
    /// The account.
    pub aci: Aci,
    /// The device that the archive is for.
    pub device: DeviceId,
    /// Its registration id, which tells it from others that had this number; any number that was sent, valid or not.
    pub registration_id: u32,
    /// Where it finds the archive.
    pub archive: TransferArchive,
}

impl OfferArchive {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Option<TransferArchiveOffered> {
        let (_, device) = account.with_device(self.device)?;
        let meant = u32::from(device.registration_id) == self.registration_id;
        meant.then(|| TransferArchiveOffered {
            device: self.device,
            generation: device.generation,
            archive: self.archive.clone().into(),
        })
    }
}

#[async_trait]
impl Command for OfferArchive {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "OfferArchive";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let offered = self.decide(&account);
        work.record(&account, offered);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;
    use events::Generation;

    #[test]
    fn an_archive_is_for_one_life_of_a_device() {
        let account = given([(0, registered(1)), (1, linked(2, 7))]);
        let offer = |id, registration_id| {
            let offer = OfferArchive {
                aci: aci(1),
                device: device(id),
                registration_id,
                archive: TransferArchive::RelinkRequested,
            };
            account.when(|account, _| offer.decide(account))
        };
        offer(2, 200).then(Some(TransferArchiveOffered {
            device: device(2),
            generation: Generation(7),
            archive: TransferArchive::RelinkRequested.into(),
        }));
        offer(2, 201).then(None);
        offer(3, 200).then(None);
    }
}
