//! `number-{pni}`: who holds a phone number. The first append wins; there is no table constraint to race for.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::Aci;

event_family! {
    /// What can happen to a number.
    NumberEvent in Number {
        1 NumberClaimed { }
        2 NumberReleased { }
    }
}

/// An account took the number. If the account never came to be, the number is free again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberClaimed {
    /// By whom.
    pub aci: Aci,
}

/// The account that held the number let it go. It gets its id back if it returns in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberReleased {
    /// By whom.
    pub aci: Aci,
}
