//! An account ends.

use async_trait::async_trait;
use events::account::AccountDeleted;
use events::number::NumberReleased;
use events::{Aci, Pni, StreamId};

use super::state::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;
use crate::number::Number;

/// Deletes the account and releases its number. Deleting again does nothing, but completes a deletion that was cut short.
#[derive(Clone, Copy, Debug)]
pub struct DeleteAccount {
    /// The account.
    pub aci: Aci,
}

/// What deleting leaves to be done in each of the two streams.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The account has to end.
    pub account: Option<AccountDeleted>,
    /// Its number has to be released.
    pub number: Option<NumberReleased>,
}

impl DeleteAccount {
    /// The rule. The account ends before its claim on the number does: in between the claim is an orphan, which is
    /// as good as none. The other way round two accounts could hold the number.
    pub fn decide(&self, account: &Account, number: &Number) -> Ending {
        let deleted = account
            .live
            .as_ref()
            .map(|live| AccountDeleted { pni: live.pni });
        let claimed = number.holder == Some(self.aci);
        Ending {
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
        let ending = self.decide(&account, &number);
        work.record(&account, ending.account);
        work.record(&number, ending.number);
        Ok(())
    }
}
