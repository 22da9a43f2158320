//! Who holds a number, and which account an address means.

use std::time::Duration;

use events::number::NumberEvent;
use events::{Aci, Pni, ServiceId, StreamId, Timestamp};

use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::command::Unavailable;
use crate::executor::work::{Loaded, Work};

/// How long a number's last account gets its id back if it returns.
pub const ACI_MEMORY: Duration = Duration::from_hours(30 * 24);

/// How long it is remembered that a session was begun: as long as a bucket of five takes to refill.
const SESSION_MEMORY: Duration = Duration::from_hours(24);

/// Who holds a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// The last account that claimed it. Whether the claim is good is for that account to say: if it does not exist or
    /// has another number, the claim is an orphan and the number is free.
    pub holder: Option<Aci>,
    /// The account that gets its id back if it comes here, and since when.
    pub released: Option<(Aci, Timestamp)>,
    /// The account that had to go when the holder came.
    pub displaced: Option<Aci>,
    /// When verification sessions about it were begun of late, in order.
    pub sessions: Vec<Timestamp>,
}

impl Aggregate for Number {
    type Id = Pni;
    type Event = NumberEvent;

    fn stream(pni: Pni) -> StreamId {
        StreamId::number(pni)
    }

    fn evolve(&mut self, event: &NumberEvent, at: Timestamp) {
        match event {
            NumberEvent::NumberClaimed(claimed) => {
                self.holder = Some(claimed.aci);
                self.released = None;
                self.displaced = claimed.displaced;
            }
            NumberEvent::NumberReleased(released) => {
                self.holder = None;
                self.released = Some((released.aci, at));
            }
            NumberEvent::NumberLeft(left) => {
                self.holder = None;
                self.released = left.heir.map(|heir| (heir, at));
            }
            NumberEvent::VerificationBegun(_) => {
                self.sessions
                    .retain(|begun| at.since(*begun) < SESSION_MEMORY);
                self.sessions.push(at);
            }
        }
    }
}

impl Number {
    /// The account that has been expected here for less than [`ACI_MEMORY`]: it let the number go, or had to make room
    /// elsewhere for the account that left it.
    pub fn returning(&self, at: Timestamp) -> Option<Aci> {
        let recent = |(_, released): &(Aci, Timestamp)| at.since(*released) < ACI_MEMORY;
        self.released.filter(recent).map(|(aci, _)| aci)
    }
}

/// The account that is meant by an address, if it exists.
pub async fn resolve(
    work: &Work<'_>,
    address: ServiceId,
) -> Result<Option<(Aci, Loaded<Account>)>, Unavailable> {
    let aci = match address {
        ServiceId::Aci(aci) => aci,
        ServiceId::Pni(pni) => match work.load::<Number>(pni).await?.holder {
            Some(holder) => holder,
            None => return Ok(None),
        },
    };
    let account = work.load::<Account>(aci).await?;
    let meant = match address {
        ServiceId::Aci(_) => account.live.is_some(),
        ServiceId::Pni(pni) => account.holds(pni),
    };
    Ok(meant.then_some((aci, account)))
}
