//! An account asks for a username.

use async_trait::async_trait;
use events::account::UsernameReservationSet;
use events::username::UsernameReserved;
use events::values::username::UsernameHash;
use events::{Aci, StreamId, Timestamp};

use super::state::{RESERVATION, Usernames, look_up};
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// The most usernames that may be asked for at once.
pub const MAX_CANDIDATES: usize = 20;

/// Keeps for the account the first of these usernames that it may have. If one of them is its own, that is the answer.
/// Asking for one that is kept for it already keeps it longer, never shorter.
#[derive(Clone, Debug)]
pub struct ReserveUsername {
    /// The account.
    pub aci: Aci,
    /// Which it would like, in order.
    pub candidates: Vec<UsernameHash>,
}

/// Why no username is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveUsernameRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// Others have them all.
    #[error("none of the usernames is free")]
    AllTaken,
}

impl Refusal for ReserveUsernameRefused {}

impl ReserveUsername {
    /// Until when a username that is open to the account is kept for it from now on.
    pub fn keep(usernames: &Usernames, hash: UsernameHash, at: Timestamp) -> Timestamp {
        let reserved = at.plus(RESERVATION);
        usernames
            .kept_until(hash)
            .map_or(reserved, |until| until.max(reserved))
    }
}

#[async_trait]
impl Command for ReserveUsername {
    type Done = UsernameHash;
    type Refused = ReserveUsernameRefused;
    const NAME: &'static str = "ReserveUsername";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    /// Writes the username before the account: cut short, it is kept for nobody once the short time is over that its
    /// stream names.
    async fn run(&self, work: &mut Work<'_>) -> Result<UsernameHash, Stop<ReserveUsernameRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let live = account
            .live
            .as_deref()
            .ok_or(ReserveUsernameRefused::NoSuchAccount)?;
        if let Some(own) = self.candidates.iter().find(|it| live.usernames.has(**it)) {
            return Ok(*own);
        }
        for hash in self.candidates.iter().copied() {
            let (username, open) = look_up(work, self.aci, hash).await?;
            if open {
                let at = work.at();
                let reserved = UsernameReserved {
                    aci: self.aci,
                    until: at.plus(RESERVATION),
                };
                let until = Self::keep(&live.usernames, hash, at);
                work.record(&username, [reserved]);
                work.record(&account, [UsernameReservationSet { hash, until }]);
                return Ok(hash);
            }
        }
        Err(ReserveUsernameRefused::AllTaken.into())
    }
}
