//! What keeps whoever gets hold of a number from getting hold of its account.

use std::time::Duration;

use events::Timestamp;
use events::values::Redacted;

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

/// Compares the lock that was offered with that of the account. An empty one counts as none.
pub fn check(account: &Live, offered: Option<&Redacted<Box<str>>>, at: Timestamp) -> LockCheck {
    let Some(lock) = &account.protection.registration_lock else {
        return LockCheck::Open;
    };
    let time_remaining = LOCK_LIFETIME.saturating_sub(at.since(account.last_seen()));
    let opened = offered.is_some_and(|offered| crypto::token_hash::verify(&offered.0, lock));
    if time_remaining.is_zero() || opened {
        LockCheck::Open
    } else {
        LockCheck::Failed { time_remaining }
    }
}
