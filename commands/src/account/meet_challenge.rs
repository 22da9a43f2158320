//! An account has shown that somebody is there.

use async_trait::async_trait;
use events::account::{ChallengeAnswer, ChallengeMet};
use events::{Aci, DeviceId, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Puts on record that the account answered a challenge; the door has judged the answer. On every node, whatever was held
/// against the account is forgotten when this is heard.
#[derive(Clone, Copy, Debug)]
pub struct MeetChallenge {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// By what.
    pub answer: ChallengeAnswer,
}

impl MeetChallenge {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Option<ChallengeMet> {
        account.with_device(self.device)?;
        Some(ChallengeMet {
            device: self.device,
            answer: self.answer,
        })
    }
}

#[async_trait]
impl Command for MeetChallenge {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "MeetChallenge";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, device, registered};
    use crate::testing::given;

    #[test]
    fn whoever_is_gone_has_met_nothing() {
        let meet = |id| MeetChallenge {
            aci: aci(1),
            device: device(id),
            answer: ChallengeAnswer::Captcha,
        };
        let account = given::<Account>([(0, registered(1))]);
        let answered = ChallengeMet {
            device: device(1),
            answer: ChallengeAnswer::Captcha,
        };
        account
            .when(|account, _| meet(1).decide(account))
            .then(Some(answered));
        account
            .when(|account, _| meet(2).decide(account))
            .then(None);
    }
}
