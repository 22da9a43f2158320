//! An account takes a username.

use async_trait::async_trait;
use crypto::username::ProofInvalid;
use events::account::{UsernameConfirmed, UsernameLink};
use events::username::UsernameClaimed;
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{Aci, LinkHandle, StreamId, Timestamp};

use super::state::{RESERVATION, Usernames, look_up};
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// The hash of a username, from somebody who has proved that they know the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvedUsername(UsernameHash);

impl ProvedUsername {
    /// Checks the proof: 128 bytes.
    pub fn check(hash: UsernameHash, proof: &[u8]) -> Result<Self, ProofInvalid> {
        crypto::username::verify(&hash.0, proof).map(|()| Self(hash))
    }

    /// The hash.
    pub const fn hash(self) -> UsernameHash {
        self.0
    }
}

/// Takes a username for the account. The one that it had is kept for it for a while. Taking its own again does nothing.
#[derive(Clone, Debug)]
pub struct ConfirmUsername {
    /// The account.
    pub aci: Aci,
    /// Which.
    pub username: ProvedUsername,
    /// The username for those who have the link; without it there is no link.
    pub encrypted: Option<EncryptedUsername>,
    /// Where the link stands, minted at the door; a link that is reclaimed stands where it stood.
    pub fresh_handle: LinkHandle,
    /// Whether the account must have reserved it.
    pub reservation: Reservation,
}

/// Whether a username must have been reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// It must, though it is enough that nobody else has taken it since.
    Needed,
    /// It need not; but a reservation that is over is a refusal.
    Optional,
}

/// The username is the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Which.
    pub hash: UsernameHash,
    /// Where the link to it stands, if there is one.
    pub handle: Option<LinkHandle>,
}

/// Why the account does not get the username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmUsernameRefused {
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// The account has not reserved it.
    #[error("the username was not reserved")]
    NotReserved,
    /// The account had reserved it, for a time that is over.
    #[error("the reservation is over")]
    ReservationOver,
    /// Somebody else has it.
    #[error("somebody else has the username")]
    Taken,
}

impl Refusal for ConfirmUsernameRefused {}

impl ConfirmUsername {
    /// The rule, given whether the username is open to the account.
    pub fn decide(
        &self,
        usernames: &Usernames,
        open: bool,
        at: Timestamp,
    ) -> Result<UsernameConfirmed, ConfirmUsernameRefused> {
        let hash = self.username.hash();
        let reserved = usernames.reserved.filter(|held| held.hash == hash);
        match (self.reservation, reserved) {
            (Reservation::Needed, None) => return Err(ConfirmUsernameRefused::NotReserved),
            _ if !open => return Err(ConfirmUsernameRefused::Taken),
            (Reservation::Optional, Some(held)) if held.until <= at => {
                return Err(ConfirmUsernameRefused::ReservationOver);
            }
            _ => {}
        }
        let link = self.encrypted.clone().map(|encrypted| UsernameLink {
            handle: usernames
                .handle_to_reclaim(hash)
                .unwrap_or(self.fresh_handle),
            encrypted: encrypted.into(),
        });
        Ok(UsernameConfirmed {
            hash,
            link,
            former: usernames.giving_up(at),
        })
    }
}

#[async_trait]
impl Command for ConfirmUsername {
    type Done = Confirmed;
    type Refused = ConfirmUsernameRefused;
    const NAME: &'static str = "ConfirmUsername";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    /// Writes the username before the account: cut short, it is kept for the account as a reservation is.
    async fn run(&self, work: &mut Work<'_>) -> Result<Confirmed, Stop<ConfirmUsernameRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let live = account
            .live
            .as_deref()
            .ok_or(ConfirmUsernameRefused::NoSuchAccount)?;
        let hash = self.username.hash();
        if let Some(own) = live
            .usernames
            .confirmed
            .as_ref()
            .filter(|it| it.hash == hash)
        {
            let handle = own.link.as_ref().map(|link| link.handle);
            return Ok(Confirmed { hash, handle });
        }
        let (username, open) = look_up(work, self.aci, hash).await?;
        let confirmed = self.decide(&live.usernames, open, work.at())?;
        let handle = confirmed.link.as_ref().map(|link| link.handle);
        let claimed = UsernameClaimed {
            aci: self.aci,
            until: work.at().plus(RESERVATION),
        };
        work.record(&username, [claimed]);
        work.record(&account, [confirmed]);
        Ok(Confirmed { hash, handle })
    }
}
