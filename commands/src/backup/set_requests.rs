//! An account says by which requests it gets credentials of its backups.

use async_trait::async_trait;
use events::account::{BackupRequests, BackupRequestsSet};
use events::{Aci, DeviceId, StreamId};

use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Puts requests in the place of those that the account has. What is missing stays as it is.
#[derive(Clone, Debug)]
pub struct SetBackupRequests {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// The requests. The door has made sure that they can be met.
    pub requests: BackupRequests,
}

/// Why they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetBackupRequestsRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
    /// Linked devices do not decide on this.
    #[error("only the primary device decides on backups")]
    NotPrimary,
}

impl Refusal for SetBackupRequestsRefused {}

impl SetBackupRequests {
    /// The rule. What the account has already is no news.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<BackupRequestsSet>, SetBackupRequestsRefused> {
        let (live, _) = account
            .with_device(self.device)
            .ok_or(SetBackupRequestsRefused::NoSuchDevice)?;
        if !self.device.is_primary() {
            return Err(SetBackupRequestsRefused::NotPrimary);
        }
        let news = live.backup.clone().updated(self.requests.clone()) != live.backup;
        Ok(news.then(|| BackupRequestsSet {
            requests: self.requests.clone(),
        }))
    }
}

#[async_trait]
impl Command for SetBackupRequests {
    type Done = ();
    type Refused = SetBackupRequestsRefused;
    const NAME: &'static str = "SetBackupRequests";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetBackupRequestsRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let set = self.decide(&account)?;
        work.record(&account, set);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, linked, registered};
    use crate::testing::given;
    use events::account::{AccountEvent, AccountReregistered};
    use events::values::backup::BackupRequest;

    fn requests(messages: Option<u8>, media: Option<u8>) -> BackupRequests {
        let request = |n| {
            let mut bytes = [n; BackupRequest::LEN];
            bytes[0] = 0;
            bytes.as_slice().try_into().unwrap()
        };
        BackupRequests {
            messages: messages.map(request),
            media: media.map(request),
        }
    }

    fn setting(id: u32, requests: &BackupRequests) -> SetBackupRequests {
        SetBackupRequests {
            aci: aci(1),
            device: device(id),
            requests: requests.clone(),
        }
    }

    #[test]
    fn the_primary_device_decides_and_what_is_there_already_is_no_news() {
        let history = given([(0, registered(1)), (1, linked(2, 2))]);
        let both = requests(Some(1), Some(2));
        let refused = SetBackupRequestsRefused::NotPrimary;
        history
            .when(|account, _| setting(2, &both).decide(account))
            .refuses(refused);
        let set = BackupRequestsSet {
            requests: both.clone(),
        };
        history
            .when(|account, _| setting(1, &both).decide(account))
            .accepts(Some(set.clone()));
        let media = requests(None, Some(2));
        given([(0, registered(1)), (1, set.into())])
            .when(|account, _| setting(1, &media).decide(account))
            .accepts(None);
    }

    fn reregistered() -> AccountEvent {
        let AccountEvent::AccountRegistered(first) = registered(1) else {
            unreachable!("it was registered")
        };
        AccountReregistered {
            number: first.number,
            pni: first.pni,
            identity: first.identity,
            primary: first.primary,
            access: first.access,
            protection: first.protection,
        }
        .into()
    }

    #[test]
    fn requests_are_changed_one_by_one_and_outlive_another_registration() {
        let set = |requests| BackupRequestsSet { requests }.into();
        let history = [
            (0, registered(1)),
            (1, set(requests(Some(1), Some(2)))),
            (2, set(requests(None, Some(3)))),
            (3, reregistered()),
        ];
        given(history)
            .when(|account: &Account, _| {
                let backup = account.live.as_ref().unwrap().backup.clone();
                Ok::<_, SetBackupRequestsRefused>(backup)
            })
            .accepts(requests(Some(1), Some(3)));
    }
}
