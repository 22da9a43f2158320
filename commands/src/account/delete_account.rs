//! An account ends.

use async_trait::async_trait;
use events::account::AccountDeleted;
use events::number::NumberReleased;
use events::profile::ProfileCleared;
use events::{Aci, Pni, StreamId};

use super::state::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;
use crate::number::Number;
use crate::profile::Profile;
use crate::username::state::release_all;

/// Deletes the account and releases its number. Deleting again does nothing, but completes a deletion that was cut short.
#[derive(Clone, Copy, Debug)]
pub struct DeleteAccount {
    /// The account.
    pub aci: Aci,
}

/// What deleting leaves to be done in each of the three streams.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Its profile has to go.
    pub profile: Option<ProfileCleared>,
    /// The account has to end.
    pub account: Option<AccountDeleted>,
    /// Its number has to be released.
    pub number: Option<NumberReleased>,
}

impl DeleteAccount {
    /// The rule. The profile goes first: an account without one is an account, and who asks again finds the rest still
    /// to be done. The account ends before its claim on the number does: in between the claim is an orphan, which is
    /// as good as none. The other way round two accounts could hold the number.
    pub fn decide(&self, account: &Account, number: &Number, profile: &Profile) -> Ending {
        let deleted = account
            .live
            .as_ref()
            .map(|live| AccountDeleted { pni: live.pni });
        let claimed = number.holder == Some(self.aci);
        Ending {
            profile: profile.ending(),
            account: deleted,
            number: claimed.then_some(NumberReleased { aci: self.aci }),
        }
    }
}

/// The number that the account has, or had at its end.
fn number_of(account: &Account) -> Option<Pni> {
    let last = account.deleted.map(|deletion| deletion.pni);
    account.live.as_ref().map(|live| live.pni).or(last)
}

#[async_trait]
impl Command for DeleteAccount {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "DeleteAccount";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let Some(pni) = number_of(&account) else {
            return Ok(());
        };
        let number = work.load::<Number>(pni).await?;
        let profile = work.load::<Profile>(self.aci).await?;
        let ending = self.decide(&account, &number, &profile);
        work.record(&profile, ending.profile);
        work.record(&account, ending.account);
        work.record(&number, ending.number);
        if let Some(live) = account.live.as_deref() {
            release_all(work, self.aci, &live.usernames).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, pni, registered};
    use crate::testing::given;
    use events::account::AccountEvent;
    use events::number::NumberClaimed;

    fn ending<const N: usize>(history: [(u64, AccountEvent); N], number: &Number) -> Ending {
        let account = given::<Account>(history);
        account
            .when(|account, _| {
                let profile = Profile::default();
                DeleteAccount { aci: aci(1) }.decide(account, number, &profile)
            })
            .0
    }

    fn held_by(n: u32) -> Number {
        let claimed = NumberClaimed::by(aci(n));
        given::<Number>([(0, claimed.into())])
            .when(|number, _| number.clone())
            .0
    }

    #[test]
    fn the_account_ends_and_lets_its_number_go() {
        let deleted = AccountDeleted { pni: pni(1) };
        let released = NumberReleased { aci: aci(1) };
        let registered = (0, registered(1));
        let both = Ending {
            profile: None,
            account: Some(deleted.clone()),
            number: Some(released.clone()),
        };
        assert_eq!(ending([registered.clone()], &held_by(1)), both);
        let cut_short = Ending {
            profile: None,
            account: None,
            number: Some(released),
        };
        assert_eq!(
            ending(
                [registered.clone(), (1, deleted.clone().into())],
                &held_by(1)
            ),
            cut_short
        );
        let nothing = Ending::default();
        assert_eq!(
            ending([registered, (1, deleted.into())], &held_by(2)),
            nothing
        );
    }
}
