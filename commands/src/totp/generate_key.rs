//! A key for one-time passwords is made.

use async_trait::async_trait;
use events::account::TotpKeyGenerated;
use events::values::totp::TotpSecret;
use events::{Aci, StreamId};

use super::state::MAX_KEYS;
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Makes a key wait for its confirmation, in the place of an earlier one that waited.
#[derive(Clone, Debug)]
pub struct GenerateTotpKey {
    /// The account.
    pub aci: Aci,
    /// The key, minted at the door.
    pub secret: TotpSecret,
}

/// Why no key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateTotpKeyRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// The account has as many as it may have.
    #[error("the account has {MAX_KEYS} keys already")]
    TooMany,
}

impl Refusal for GenerateTotpKeyRefused {}

impl GenerateTotpKey {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Result<TotpKeyGenerated, GenerateTotpKeyRefused> {
        let live = account.live.as_ref();
        let live = live.ok_or(GenerateTotpKeyRefused::NoSuchAccount)?;
        if live.totp.confirmed.len() >= MAX_KEYS {
            return Err(GenerateTotpKeyRefused::TooMany);
        }
        Ok(TotpKeyGenerated {
            key: self.secret.clone().into(),
        })
    }
}

#[async_trait]
impl Command for GenerateTotpKey {
    type Done = ();
    type Refused = GenerateTotpKeyRefused;
    const NAME: &'static str = "GenerateTotpKey";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<GenerateTotpKeyRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, [self.decide(&account)?]);
        Ok(())
    }
}
