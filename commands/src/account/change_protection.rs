//! An account changes what protects it, and nothing else.

use async_trait::async_trait;
use events::account::{AccountEvent, RecoveryPasswordSet, RegistrationLockChanged};
use events::values::hashes::SaltedHash;
use events::{Aci, StreamId};

use super::state::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Changes one thing that protects the account. Secrets come as hashes with a salt of their own, so that the same secret
/// again is another hash; only taking away what is not there does nothing.
#[derive(Clone, Debug)]
pub struct ChangeProtection {
    /// The account.
    pub aci: Aci,
    /// What is to be different.
    pub change: ProtectionChange,
}

/// What can be different about an account's protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtectionChange {
    /// Whoever registers the number again must know this.
    RegistrationLock(SaltedHash),
    /// Whoever registers the number again need not know anything.
    NoRegistrationLock,
    /// This stands in for a verification session when the number is registered again.
    RecoveryPassword(SaltedHash),
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeProtectionRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
}

impl Refusal for ChangeProtectionRefused {}

impl ChangeProtection {
    /// The rule.
    pub fn decide(
        &self,
        account: &Account,
    ) -> Result<Option<AccountEvent>, ChangeProtectionRefused> {
        let live = account.live.as_ref();
        let protection = &live
            .ok_or(ChangeProtectionRefused::NoSuchAccount)?
            .protection;
        Ok(match self.change.clone() {
            ProtectionChange::RegistrationLock(lock) => {
                Some(RegistrationLockChanged { lock: Some(lock) }.into())
            }
            ProtectionChange::NoRegistrationLock => {
                let locked = protection.registration_lock.is_some();
                locked.then(|| RegistrationLockChanged { lock: None }.into())
            }
            ProtectionChange::RecoveryPassword(password) => {
                Some(RecoveryPasswordSet { password }.into())
            }
        })
    }
}

#[async_trait]
impl Command for ChangeProtection {
    type Done = ();
    type Refused = ChangeProtectionRefused;
    const NAME: &'static str = "ChangeProtection";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<ChangeProtectionRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        work.record(&account, self.decide(&account)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{aci, registered, salted};
    use crate::testing::given;

    fn change(change: ProtectionChange) -> ChangeProtection {
        ChangeProtection {
            aci: aci(1),
            change,
        }
    }

    #[test]
    fn a_lock_comes_and_goes_and_leaves_the_recovery_password() {
        let mut history = vec![(0, registered(1))];
        for (second, step) in [
            (1, ProtectionChange::RecoveryPassword(salted("recovery"))),
            (2, ProtectionChange::RegistrationLock(salted("lock"))),
            (3, ProtectionChange::NoRegistrationLock),
        ] {
            let said = given(history.clone()).when(|account, _| change(step).decide(account));
            history.push((second, said.0.unwrap().unwrap()));
        }
        let unlocked = given(history);
        unlocked
            .when(|account: &Account, _| account.live.clone().unwrap().protection)
            .then(events::account::Protection {
                registration_lock: None,
                recovery_password: Some(salted("recovery")),
            });
        unlocked
            .when(|account, _| change(ProtectionChange::NoRegistrationLock).decide(account))
            .accepts(None);
    }

    #[test]
    fn a_recovery_password_that_nobody_confirms_lapses() {
        let password = RecoveryPasswordSet {
            password: salted("recovery"),
        };
        let day = 86_400;
        let account = given([(0, registered(1)), (day, password.into())]);
        let in_force = |account: &Account, at| {
            let live = account.live.as_ref().unwrap();
            live.recovery_password(at).is_some()
        };
        let account = account.at(301 * day - 1);
        account.when(in_force).then(true);
        account.at(301 * day).when(in_force).then(false);
    }
}
