//! What keeps whoever gets hold of a number from getting hold of its account.

use std::time::Duration;

use events::account::RegistrationLockFailed;
use events::values::Redacted;
use events::values::hashes::SaltedHash;
use events::{Aci, Timestamp};

use super::proof::NumberProof;
use crate::account::Live;

/// How long a registration lock holds after any device of the account was last heard of.
pub const LOCK_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// Whether somebody who has proved the number may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockCheck {
    /// There is no lock, or it has lapsed, or it was opened.
    Open,
    /// It was not opened.
    Failed {
        /// How long until it lapses.
        time_remaining: Duration,
    },
}

/// The lock of the account, and how long until it lapses; `None` if there is none, or it has lapsed.
fn holding(account: &Live, at: Timestamp) -> Option<(&SaltedHash, Duration)> {
    let lock = account.protection.registration_lock.as_ref()?;
    let time_remaining = LOCK_LIFETIME.saturating_sub(at.since(account.last_seen()));
    (!time_remaining.is_zero()).then_some((lock, time_remaining))
}

/// Compares the lock that was offered with that of the account. An empty one counts as none.
pub fn check(account: &Live, offered: Option<&Redacted<Box<str>>>, at: Timestamp) -> LockCheck {
    let Some((lock, time_remaining)) = holding(account, at) else {
        return LockCheck::Open;
    };
    if offered.is_some_and(|offered| crypto::token_hash::verify(&offered.0, lock)) {
        LockCheck::Open
    } else {
        LockCheck::Failed { time_remaining }
    }
}

/// The registration lock of an account was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account is locked")]
pub struct Locked {
    /// The account.
    pub aci: Aci,
    /// How long until the lock lapses.
    pub time_remaining: Duration,
}

/// Somebody who has proved the number of an account tries to get at it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// How they proved it.
    pub proof: Option<&'a NumberProof>,
    /// The lock as they know it.
    pub offered: Option<&'a Redacted<Box<str>>>,
}

impl Attempt<'_> {
    /// Whether a lock is offered to one that holds, so that whoever does it may be guessing.
    pub fn guesses(self, account: &Live, at: Timestamp) -> bool {
        let offered = self.offered.is_some_and(|lock| !lock.0.is_empty());
        offered && holding(account, at).is_some()
    }

    /// Whether the attempt fails at the lock; if it does, that is a fact with consequences, unless they have come about
    /// already. The recovery password is spared if it was the proof and no lock was offered at all: clients do that to
    /// learn whether there is one.
    pub fn fail(
        self,
        aci: Aci,
        account: &Live,
        at: Timestamp,
    ) -> Option<(Locked, Option<RegistrationLockFailed>)> {
        let offered = self.offered.filter(|lock| !lock.0.is_empty());
        let LockCheck::Failed { time_remaining } = check(account, offered, at) else {
            return None;
        };
        let kept = self.proof.is_some_and(NumberProof::is_by_password) && offered.is_none();
        let has_password = account.protection.recovery_password.is_some();
        let news = !account.locked || (has_password && !kept);
        let failed = news.then_some(RegistrationLockFailed {
            recovery_password_kept: kept,
        });
        let locked = Locked {
            aci,
            time_remaining,
        };
        Some((locked, failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::testing::fixtures::{change_protection, device, registered, salted, secret};
    use crate::testing::given;
    use events::account::{DeviceSeen, Protection};

    const WEEK: u64 = 7 * 86_400;

    /// Checks a lock that was set at second 0, on an account that was heard of then and at `seen`.
    fn check_at(seconds: u64, seen: u64, offered: Option<&str>) -> LockCheck {
        let lock = Protection {
            registration_lock: Some(salted("lock")),
            recovery_password: None,
        };
        let registered = (0, registered(1));
        let set = given::<Account>([registered.clone()])
            .when(|account, _| change_protection(1, lock).decide(account))
            .0;
        let seen = (seen, DeviceSeen { device: device(1) }.into());
        let history = [registered, (0, set.unwrap().unwrap().into()), seen];
        let offered = offered.map(secret);
        let account = given::<Account>(history).at(seconds);
        account
            .when(|account, at| check(account.live.as_ref().unwrap(), offered.as_ref(), at))
            .0
    }

    #[test]
    fn only_the_lock_itself_opens_it() {
        assert_eq!(check_at(10, 0, Some("lock")), LockCheck::Open);
        let failed = LockCheck::Failed {
            time_remaining: Duration::from_secs(WEEK - 10),
        };
        assert_eq!(check_at(10, 0, Some("pick")), failed);
        assert_eq!(check_at(10, 0, None), failed);
    }

    #[test]
    fn it_lapses_a_week_after_the_account_was_last_heard_of() {
        assert_eq!(check_at(WEEK, 0, None), LockCheck::Open);
        let failed = LockCheck::Failed {
            time_remaining: Duration::from_hours(24),
        };
        assert_eq!(check_at(WEEK, 86_400, None), failed);
        assert_eq!(check_at(WEEK + 86_400, 86_400, None), LockCheck::Open);
    }
}
