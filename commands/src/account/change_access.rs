//! An account changes who may reach it, and nothing else.

use async_trait::async_trait;
use events::account::{Access, AccessChanged};
use events::values::hashes::UnidentifiedAccessKey;
use events::{Aci, StreamId};

use super::state::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Changes one thing about how the account is reached. If it is so already, nothing happens.
#[derive(Clone, Debug)]
pub struct ChangeAccess {
    /// The account.
    pub aci: Aci,
    /// What is to be different.
    pub change: AccessChange,
}

/// What can be different about how an account is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// Whether it can be found by its number.
    Discoverable(bool),
    /// Anonymous senders need to know this key.
    Key(UnidentifiedAccessKey),
    /// Anonymous senders need to know nothing.
    Unrestricted,
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeAccessRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
}

impl Refusal for ChangeAccessRefused {}

impl ChangeAccess {
    /// The rule.
    pub fn decide(&self, account: &Account) -> Result<Option<AccessChanged>, ChangeAccessRefused> {
        let live = account.live.as_ref();
        let current = &live.ok_or(ChangeAccessRefused::NoSuchAccount)?.access;
        let access = match self.change.clone() {
            AccessChange::Discoverable(discoverable) => Access {
                discoverable,
                ..current.clone()
            },
            AccessChange::Key(key) => Access {
                key: Some(key.into()),
                unrestricted: false,
                ..current.clone()
            },
            AccessChange::Unrestricted => Access {
                key: None,
                unrestricted: true,
                ..current.clone()
            },
        };
        Ok((access != *current).then_some(AccessChanged { access }))
    }
}

#[async_trait]
impl Command for ChangeAccess {
    type Done = ();
    type Refused = ChangeAccessRefused;
    const NAME: &'static str = "ChangeAccess";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<ChangeAccessRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{access_key, aci, registered};
    use crate::testing::given;

    fn change(change: AccessChange) -> ChangeAccess {
        ChangeAccess {
            aci: aci(1),
            change,
        }
    }

    #[test]
    fn one_thing_changes_and_the_rest_stays() {
        let account = given([(0, registered(1))]);
        let said = account.when(|account, _| {
            let hide = change(AccessChange::Discoverable(false));
            hide.decide(account).map(Option::unwrap)
        });
        let hidden = said.0.unwrap().access;
        assert!(!hidden.discoverable && !hidden.unrestricted && hidden.key.is_some());
        let said = account.when(|account, _| change(AccessChange::Unrestricted).decide(account));
        let open = said.0.unwrap().unwrap().access;
        assert!(open.discoverable && open.unrestricted && open.key.is_none());
    }

    #[test]
    fn what_is_so_already_is_no_news() {
        let account = given([(0, registered(1))]);
        for same in [
            AccessChange::Discoverable(true),
            AccessChange::Key(access_key(1)),
        ] {
            account
                .when(|account, _| change(same).decide(account))
                .accepts(None);
        }
        given([])
            .when(|account, _| change(AccessChange::Unrestricted).decide(account))
            .refuses(ChangeAccessRefused::NoSuchAccount);
    }
}
