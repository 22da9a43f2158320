//! What rules need to know of usernames: who took one last, and to which an account has a right.

use std::time::Duration;

use events::account::{
    HeldUsername, UsernameConfirmed, UsernameDropped, UsernameLink, UsernameReservationSet,
};
use events::username::{UsernameEvent, UsernameReleased};
use events::values::username::UsernameHash;
use events::{Aci, LinkHandle, StreamId, Timestamp};

use crate::account::{Account, Live};
use crate::aggregate::Aggregate;
use crate::command::Unavailable;
use crate::executor::work::{Loaded, Work};

/// How long a username is kept for an account that has not confirmed it.
pub const RESERVATION: Duration = Duration::from_mins(5);

/// How long a username is kept for an account that was registered again.
pub const RECLAIM: Duration = Duration::from_hours(3 * 24);

/// How long a username is kept for the account that gave it up.
pub const HOLD: Duration = Duration::from_hours(7 * 24);

/// How many usernames that it gave up are kept for an account; the oldest goes first.
pub const MAX_HOLDS: usize = 3;

/// Who took a username last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Username {
    /// The account. Whether it still has a right to the username is for that account to say; before `until` the username
    /// is not free whatever it says, so that there is time to write it there.
    pub taker: Option<Taker>,
}

/// An account that took a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Which.
    pub aci: Aci,
    /// Before then nobody else gets the username.
    pub until: Timestamp,
}

impl Aggregate for Username {
    type Id = UsernameHash;
    type Event = UsernameEvent;

    fn stream(hash: UsernameHash) -> StreamId {
        StreamId::username(hash)
    }

    fn evolve(&mut self, event: &UsernameEvent, _at: Timestamp) {
        self.taker = match event {
            UsernameEvent::UsernameReserved(reserved) => Some(Taker {
                aci: reserved.aci,
                until: reserved.until,
            }),
            UsernameEvent::UsernameClaimed(claimed) => Some(Taker {
                aci: claimed.aci,
                until: claimed.until,
            }),
            UsernameEvent::UsernameReleased(_) => None,
        };
    }
}

impl Username {
    /// Whether `aci` may take the username, given the account that took it last.
    pub fn is_open_to(&self, aci: Aci, hash: UsernameHash, taker: &Account, at: Timestamp) -> bool {
        let Some(last) = self.taker else { return true };
        let has_right = |live: &Live| live.usernames.has_right_to(hash, at);
        last.aci == aci || (last.until <= at && !taker.live.as_deref().is_some_and(has_right))
    }
}

/// The username, and whether `aci` may take it.
pub(super) async fn look_up(
    work: &Work<'_>,
    aci: Aci,
    hash: UsernameHash,
) -> Result<(Loaded<Username>, bool), Unavailable> {
    let username = work.load::<Username>(hash).await?;
    let taker = work
        .load::<Account>(username.taker.map_or(aci, |taker| taker.aci))
        .await?;
    let open = username.is_open_to(aci, hash, &taker, work.at());
    Ok((username, open))
}

/// Lets go of everything that an account which ends has a right to. What is not written here is free all the same, only
/// not before the time that the stream names.
pub(crate) async fn release_all(
    work: &mut Work<'_>,
    aci: Aci,
    usernames: &Usernames,
) -> Result<(), Unavailable> {
    for hash in usernames.all() {
        let username = work.load::<Username>(hash).await?;
        if username.taker.is_some_and(|taker| taker.aci == aci) {
            work.record(&username, [UsernameReleased { aci }]);
        }
    }
    Ok(())
}

/// The usernames to which an account has a right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usernames {
    /// The one that it has.
    pub confirmed: Option<ConfirmedUsername>,
    /// The one that is kept for it until it confirms it.
    pub reserved: Option<HeldUsername>,
    /// Those that it had, the oldest first.
    holds: Vec<HeldUsername>,
    /// The one that it had when it was registered again, and where the link to it stood.
    reclaimable: Option<(UsernameHash, LinkHandle)>,
}

/// A username that an account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmedUsername {
    /// Its hash.
    pub hash: UsernameHash,
    /// The link to it.
    pub link: Option<UsernameLink>,
}

impl Usernames {
    /// Whether nobody else may have the username.
    pub fn has_right_to(&self, hash: UsernameHash, at: Timestamp) -> bool {
        self.has(hash) || self.kept_until(hash).is_some_and(|until| at < until)
    }

    /// Whether it is the one that the account has.
    pub fn has(&self, hash: UsernameHash) -> bool {
        self.confirmed
            .as_ref()
            .is_some_and(|confirmed| confirmed.hash == hash)
    }

    /// Until when the username is, or was, kept for the account.
    pub fn kept_until(&self, hash: UsernameHash) -> Option<Timestamp> {
        let kept = self.reserved.iter().chain(&self.holds);
        kept.filter(|held| held.hash == hash)
            .map(|held| held.until)
            .max()
    }

    /// Where the link to a username stands that the account had before it was registered again.
    pub fn handle_to_reclaim(&self, hash: UsernameHash) -> Option<LinkHandle> {
        let of_hash = |(former, _): &(UsernameHash, LinkHandle)| *former == hash;
        self.reclaimable.filter(of_hash).map(|(_, handle)| handle)
    }

    /// What becomes of the confirmed username when the account gives it up now.
    pub fn giving_up(&self, at: Timestamp) -> Option<HeldUsername> {
        let confirmed = self.confirmed.as_ref()?;
        Some(HeldUsername {
            hash: confirmed.hash,
            until: at.plus(HOLD),
        })
    }

    /// Each username that is kept for the account, once.
    fn all(&self) -> std::collections::BTreeSet<UsernameHash> {
        let kept = self.reserved.iter().chain(&self.holds);
        let confirmed = self.confirmed.iter().map(|confirmed| confirmed.hash);
        confirmed.chain(kept.map(|held| held.hash)).collect()
    }

    pub(crate) fn reserve(&mut self, event: &UsernameReservationSet) {
        self.reserved = Some(HeldUsername {
            hash: event.hash,
            until: event.until,
        });
    }

    pub(crate) fn confirm(&mut self, event: &UsernameConfirmed) {
        self.reserved = None;
        self.reclaimable = None;
        self.confirmed = Some(ConfirmedUsername {
            hash: event.hash,
            link: event.link.clone(),
        });
        self.holds.retain(|held| held.hash != event.hash);
        self.hold(event.former);
    }

    pub(crate) fn give_up(&mut self, event: &UsernameDropped) {
        self.confirmed = None;
        self.hold(Some(event.former));
    }

    pub(crate) fn link(&mut self, link: Option<&UsernameLink>) {
        if let Some(confirmed) = &mut self.confirmed {
            confirmed.link = link.cloned();
        }
    }

    fn hold(&mut self, former: Option<HeldUsername>) {
        self.holds.extend(former);
        let surplus = self.holds.len().saturating_sub(MAX_HOLDS);
        self.holds.drain(..surplus);
    }

    /// What is left of them when the account is registered again: the confirmed one is kept for it for a while.
    pub(crate) fn after_reregistration(self, at: Timestamp) -> Self {
        let Some(confirmed) = self.confirmed else {
            return Self {
                holds: Vec::new(),
                ..self
            };
        };
        Self {
            reserved: Some(HeldUsername {
                hash: confirmed.hash,
                until: at.plus(RECLAIM),
            }),
            reclaimable: confirmed.link.map(|link| (confirmed.hash, link.handle)),
            ..Self::default()
        }
    }
}
