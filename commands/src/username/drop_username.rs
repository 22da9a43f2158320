//! An account gives its username up.

use async_trait::async_trait;
use events::account::UsernameDropped;
use events::{Aci, StreamId, Timestamp};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Gives the account's username up, and the link to it. It is kept for the account for a while. Doing it again does nothing.
#[derive(Clone, Copy, Debug)]
pub struct DropUsername {
    /// The account.
    pub aci: Aci,
}

impl DropUsername {
    /// The rule.
    pub fn decide(account: &Account, at: Timestamp) -> Option<UsernameDropped> {
        let former = account.live.as_ref()?.usernames.giving_up(at)?;
        Some(UsernameDropped { former })
    }
}

#[async_trait]
impl Command for DropUsername {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "DropUsername";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, Self::decide(&account, work.at()));
        Ok(())
    }
}
