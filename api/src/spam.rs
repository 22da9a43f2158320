//! When a sender has to show that a person is behind it.
//!
//! The rule that comes with the server counts to how many recipients an account writes; an installation that knows better
//! brings its own [`SpamFilter`].

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use events::account::AccountEvent;
use events::codec::Fact;
use events::{Aci, AnyEvent, ServiceId, Timestamp};

/// Judges messages before they are accepted. Called for every message, so it must be quick.
pub trait SpamFilter: Send + Sync + 'static {
    /// Whether the account has to meet a challenge before it may write to this recipient.
    fn challenges(&self, sender: Aci, recipient: ServiceId, at: Timestamp) -> bool;

    /// The account has met its challenge.
    fn answered(&self, sender: Aci);
}

/// Tells a filter what has happened, on whichever node: who met a challenge may write again.
pub fn observe<'a>(filter: &dyn SpamFilter, facts: impl IntoIterator<Item = &'a Fact>) {
    for fact in facts {
        if let AnyEvent::Account(AccountEvent::ChallengeMet(_)) = &fact.event
            && let Some(aci) = fact.stream.as_account()
        {
            filter.answered(aci);
        }
    }
}

/// Challenges nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrustEverybody;

impl SpamFilter for TrustEverybody {
    fn challenges(&self, _: Aci, _: ServiceId, _: Timestamp) -> bool {
        false
    }

    fn answered(&self, _: Aci) {}
}

/// Challenges accounts that write to more than so many recipients within a window of time. Each node counts by itself, and
/// forgets everything at the end of a window.
#[derive(Debug)]
pub struct RecipientQuota {
    recipients: usize,
    window: Duration,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    began: Timestamp,
    /// At most so many recipients an account as it may write to.
    recipients: HashMap<Aci, HashSet<ServiceId>>,
}

impl RecipientQuota {
    /// So many `recipients` within each `window`.
    pub fn new(recipients: usize, window: Duration) -> Self {
        Self {
            recipients,
            window,
            tally: Mutex::default(),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally
            .lock()
            .expect("nothing panics while it holds the tally")
    }
}

impl SpamFilter for RecipientQuota {
    fn challenges(&self, sender: Aci, recipient: ServiceId, at: Timestamp) -> bool {
        let mut tally = self.tally();
        if at.since(tally.began) >= self.window {
            *tally = Tally {
                began: at,
                ..Tally::default()
            };
        }
        let known = tally.recipients.entry(sender).or_default();
        let room = known.contains(&recipient) || known.len() < self.recipients;
        if room {
            known.insert(recipient);
        }
        !room
    }

    fn answered(&self, sender: Aci) {
        self.tally().recipients.remove(&sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aci(n: u8) -> Aci {
        Aci::from_random([n; 16])
    }

    #[test]
    fn new_recipients_are_counted_until_the_window_ends_or_a_challenge_is_met() {
        let quota = RecipientQuota::new(2, Duration::from_mins(1));
        let start = Timestamp::from_epoch_millis(1_767_225_600_000).unwrap();
        let after = |seconds| start.plus(Duration::from_secs(seconds));
        let writes = |to, at| quota.challenges(aci(1), aci(to).into(), at);
        assert!(!writes(2, start) && !writes(3, after(1)));
        assert!(!writes(2, after(2)), "again to somebody known");
        assert!(writes(4, after(3)) && writes(4, after(4)));
        assert!(
            !quota.challenges(aci(9), aci(4).into(), after(5)),
            "another sender"
        );
        quota.answered(aci(1));
        assert!(!writes(4, after(6)) && !writes(5, after(7)) && writes(6, after(8)));
        assert!(!writes(6, after(60)), "a new window");
    }
}
