//! The owner notes something else about a key.

use async_trait::async_trait;
use events::account::TotpKeyMetadataSet;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::{Aci, StreamId};

use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Replaces what the owner notes about a key. Noting the same again does nothing.
#[derive(Clone, Debug)]
pub struct SetTotpKeyMetadata {
    /// The account.
    pub aci: Aci,
    /// The key.
    pub key_id: TotpKeyId,
    /// What is noted from now on.
    pub metadata: TotpMetadata,
}

/// Why nothing is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetTotpKeyMetadataRefused {
    /// The account has no such key.
    #[error("no such key")]
    NoSuchKey,
}

impl Refusal for SetTotpKeyMetadataRefused {}

impl SetTotpKeyMetadata {
    /// The rule.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<TotpKeyMetadataSet>, SetTotpKeyMetadataRefused> {
        let live = account.live.as_ref();
        let key = live.and_then(|live| live.totp.confirmed.get(&self.key_id));
        let key = key.ok_or(SetTotpKeyMetadataRefused::NoSuchKey)?;
        let new = key.metadata.as_ref() != Some(&self.metadata);
        Ok(new.then(|| TotpKeyMetadataSet {
            key_id: self.key_id,
            metadata: self.metadata.clone().into(),
        }))
    }
}

#[async_trait]
impl Command for SetTotpKeyMetadata {
    type Done = ();
    type Refused = SetTotpKeyMetadataRefused;
    const NAME: &'static str = "SetTotpKeyMetadata";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetTotpKeyMetadataRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}
