//! A key for one-time passwords is given up.

use async_trait::async_trait;
use events::account::TotpKeyRemoved;
use events::values::totp::TotpKeyId;
use events::{Aci, StreamId};

use crate::account::Account;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Takes a key out of force. Removing one that the account does not have does nothing.
#[derive(Clone, Copy, Debug)]
pub struct RemoveTotpKey {
    /// The account.
    pub aci: Aci,
    /// The key.
    pub key_id: TotpKeyId,
}

impl RemoveTotpKey {
    /// The rule.
    pub fn decide(self, account: &Account) -> Option<TotpKeyRemoved> {
        let live = account.live.as_ref()?;
        let known = live.totp.confirmed.contains_key(&self.key_id);
        known.then_some(TotpKeyRemoved {
            key_id: self.key_id,
        })
    }
}

#[async_trait]
impl Command for RemoveTotpKey {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "RemoveTotpKey";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account));
        Ok(())
    }
}
