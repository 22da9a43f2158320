//! An account gets a key by which credentials for its pictures are bound to it.

use async_trait::async_trait;
use events::account::ZkCredentialKeySet;
use events::values::profile::ZkCredentialKey;
use events::{Aci, StreamId};

use super::state::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Puts a key in the place of the one that the account has. The same key again keeps what it is known by.
#[derive(Clone, Debug)]
pub struct SetZkCredentialKey {
    /// The account.
    pub aci: Aci,
    /// The key, which the door has read.
    pub key: ZkCredentialKey,
    /// What tells credentials for this key from those for earlier ones, if it is a new one.
    pub fresh_rotation_id: u64,
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetZkCredentialKeyRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
}

impl Refusal for SetZkCredentialKeyRefused {}

impl SetZkCredentialKey {
    /// The rule: what happens, and what the key is known by.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<(Option<ZkCredentialKeySet>, u64), SetZkCredentialKeyRefused> {
        let live = account.live.as_ref();
        let live = live.ok_or(SetZkCredentialKeyRefused::NoSuchAccount)?;
        Ok(match &live.zk_credential {
            Some((key, rotation_id)) if *key == self.key => (None, *rotation_id),
            Some(_) | None => {
                let rotation_id = self.fresh_rotation_id;
                let set = ZkCredentialKeySet {
                    key: self.key.clone(),
                    rotation_id,
                };
                (Some(set), rotation_id)
            }
        })
    }
}

#[async_trait]
impl Command for SetZkCredentialKey {
    type Done = u64;
    type Refused = SetZkCredentialKeyRefused;
    const NAME: &'static str = "SetZkCredentialKey";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<u64, Stop<SetZkCredentialKeyRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let (set, rotation_id) = self.decide(&account)?;
        work.record(&account, set);
        Ok(rotation_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, registered};
    use crate::testing::given;

    fn key(fill: u8) -> ZkCredentialKey {
        vec![fill; ZkCredentialKey::LEN].try_into().unwrap()
    }

    #[test]
    fn the_same_key_is_known_by_the_same_id_and_another_one_by_another() {
        let set = |fill, fresh_rotation_id| SetZkCredentialKey {
            aci: aci(1),
            key: key(fill),
            fresh_rotation_id,
        };
        let first = ZkCredentialKeySet {
            key: key(1),
            rotation_id: 7,
        };
        given([(0, registered(1))])
            .when(|account, _| set(1, 7).decide(account))
            .accepts((Some(first.clone()), 7));
        let account = given([(0, registered(1)), (1, first.into())]);
        account
            .when(|account, _| set(1, 8).decide(account))
            .accepts((None, 7));
        let second = ZkCredentialKeySet {
            key: key(2),
            rotation_id: 9,
        };
        account
            .when(|account, _| set(2, 9).decide(account))
            .accepts((Some(second), 9));
        given::<Account>([])
            .when(|account, _| set(1, 7).decide(account))
            .refuses(SetZkCredentialKeyRefused::NoSuchAccount);
    }
}
