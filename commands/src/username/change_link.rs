//! The link to an account's username.

use async_trait::async_trait;
use events::account::{UsernameLink, UsernameLinkChanged};
use events::values::username::EncryptedUsername;
use events::{Aci, LinkHandle, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Refusal, Stop};
use crate::executor::work::Work;

/// Puts a newly encrypted username behind the account's link.
#[derive(Clone, Debug)]
pub struct SetUsernameLink {
    /// The account.
    pub aci: Aci,
    /// The username for those who have the link.
    pub encrypted: EncryptedUsername,
    /// Whether it stands where it stood, if it stood anywhere.
    pub keep_handle: bool,
    /// Where it stands otherwise, minted at the door.
    pub fresh_handle: LinkHandle,
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetUsernameLinkRefused {
    /// There is nothing to link to.
    #[error("the account has no username")]
    NoUsername,
}

impl Refusal for SetUsernameLinkRefused {}

impl SetUsernameLink {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Result<UsernameLink, SetUsernameLinkRefused> {
        let confirmed = account
            .live
            .as_ref()
            .and_then(|live| live.usernames.confirmed.as_ref())
            .ok_or(SetUsernameLinkRefused::NoUsername)?;
        let kept = confirmed.link.as_ref().filter(|_| self.keep_handle);
        Ok(UsernameLink {
            handle: kept.map_or(self.fresh_handle, |link| link.handle),
            encrypted: self.encrypted.clone().into(),
        })
    }
}

#[async_trait]
impl Command for SetUsernameLink {
    /// Where the link stands.
    type Done = LinkHandle;
    type Refused = SetUsernameLinkRefused;
    const NAME: &'static str = "SetUsernameLink";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<LinkHandle, Stop<SetUsernameLinkRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let link = self.decide(&account)?;
        let handle = link.handle;
        work.record(&account, [UsernameLinkChanged { link: Some(link) }]);
        Ok(handle)
    }
}

/// Removes the link to the account's username. Doing it again does nothing.
#[derive(Clone, Copy, Debug)]
pub struct DeleteUsernameLink {
    /// The account.
    pub aci: Aci,
}

impl DeleteUsernameLink {
    /// The rule.
    pub fn decide(account: &Account) -> Option<UsernameLinkChanged> {
        let confirmed = account.live.as_ref()?.usernames.confirmed.as_ref()?;
        confirmed.link.as_ref()?;
        Some(UsernameLinkChanged { link: None })
    }
}

#[async_trait]
impl Command for DeleteUsernameLink {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "DeleteUsernameLink";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, Self::decide(&account));
        Ok(())
    }
}
