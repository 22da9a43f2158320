//! `number-{pni}`: who holds a phone number. The first append wins; there is no table constraint to race for.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::{Aci, SessionId};

event_family! {
    /// What can happen to a number.
    NumberEvent in Number {
        1 NumberClaimed { }
        2 NumberReleased { }
        3 NumberLeft { }
        4 VerificationBegun { }
    }
}

/// An account took the number. If the account never came to be, the number is free again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberClaimed {
    /// By whom.
    pub aci: Aci,
    /// The account that had to go, because another one moved to its number. It may return under the number that the
    /// other one has left ([`NumberLeft::heir`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<Aci>,
}

impl NumberClaimed {
    /// Nobody had to make room.
    pub const fn by(aci: Aci) -> Self {
        Self {
            aci,
            displaced: None,
        }
    }
}

/// The account that held the number let it go. It gets its id back if it returns in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberReleased {
    /// By whom.
    pub aci: Aci,
}

/// The account that held the number has another one now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberLeft {
    /// Which account.
    pub aci: Aci,
    /// The account that had to make room for it there. It gets its id back if it comes here in time.
    pub heir: Option<Aci>,
}

/// Somebody began to prove that the number is theirs. Counted where an installation limits how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationBegun {
    /// In this session.
    pub session: SessionId,
}
