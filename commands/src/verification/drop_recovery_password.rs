//! A number that was verified by a code makes the recovery password of its account void.

use async_trait::async_trait;
use events::account::RecoveryPasswordDropped;
use events::{Pni, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop, Unavailable};
use crate::executor::work::{Loaded, Work};
use crate::number::resolve;

/// Makes the recovery password void: clients are told of a verified session by reading it, too. Doing it again does nothing.
#[derive(Clone, Copy, Debug)]
pub struct DropRecoveryPassword {
    /// The pseudonym of the number that was verified.
    pub pni: Pni,
}

/// The account whose recovery password is void now that its number was verified by a code.
pub(super) async fn to_drop_password(
    work: &Work<'_>,
    pni: Pni,
) -> Result<Option<Loaded<Account>>, Unavailable> {
    let account = resolve(work, pni.into()).await?.map(|(_, account)| account);
    let protected = |account: &Loaded<Account>| {
        account
            .live
            .as_ref()
            .is_some_and(|live| live.protection.recovery_password.is_some())
    };
    Ok(account.filter(protected))
}

#[async_trait]
impl Command for DropRecoveryPassword {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "DropRecoveryPassword";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::number(self.pni))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        if let Some(account) = to_drop_password(work, self.pni).await? {
            work.record(&account, [RecoveryPasswordDropped {}]);
        }
        Ok(())
    }
}
