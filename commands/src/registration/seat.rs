//! Which account a number has, or will have.

use events::{Aci, Pni, Timestamp};

use crate::account::Account;
use crate::command::Unavailable;
use crate::executor::work::{Loaded, Work};
use crate::number::Number;

/// The account that a number has or will have.
pub(super) struct Seat {
    /// Who holds the number.
    pub(super) number: Loaded<Number>,
    /// The account's id.
    pub(super) aci: Aci,
    /// The account as it is.
    pub(super) account: Loaded<Account>,
    /// Whether the number has to be claimed for the account.
    pub(super) claim: bool,
}

impl Seat {
    /// Finds the account: the one that holds the number; else, the one whose claim was never used or whose deletion is
    /// recent; else, a new one.
    pub(super) async fn find(work: &Work<'_>, pni: Pni, fresh: Aci) -> Result<Self, Unavailable> {
        let number = work.load::<Number>(pni).await?;
        if let Some(aci) = number.holder {
            let account = work.load::<Account>(aci).await?;
            if account.holds(pni) || awaits(&account, pni, work.at()) {
                return Ok(Self {
                    number,
                    aci,
                    account,
                    claim: false,
                });
            }
        }
        let mut aci = fresh;
        if let Some(earlier) = number.returning(work.at())
            && work.load::<Account>(earlier).await?.live.is_none()
        {
            aci = earlier;
        }
        let account = work.load::<Account>(aci).await?;
        Ok(Self {
            number,
            aci,
            account,
            claim: true,
        })
    }
}

/// Whether a claim by this account is an orphan that it may still take up: it never came, or was deleted a short while ago
/// without releasing the number.
fn awaits(account: &Account, pni: Pni, at: Timestamp) -> bool {
    account.live.is_none() && (account.deleted.is_none() || account.ended_with(pni, at))
}
