//! `username-{hash}`: who may have a username. The first append wins; there is no table constraint to race for.
//!
//! The stream tells who took the username last. Whether they still have a right to it is for their account to say; only
//! for the short time that a reservation or claim names does it stand by itself, so that the account can be written.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::Aci;
use crate::values::Timestamp;

event_family! {
    /// What can happen to a username.
    UsernameEvent in Username {
        1 UsernameReserved { }
        2 UsernameClaimed { }
        3 UsernameReleased { }
    }
}

/// An account wants the username and has not yet shown that it knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameReserved {
    /// Who.
    pub aci: Aci,
    /// Until then nobody else gets it, whatever the account says.
    pub until: Timestamp,
}

/// An account has shown that it knows the username, and has it from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameClaimed {
    /// Who.
    pub aci: Aci,
    /// Until then nobody else gets it, whatever the account says.
    pub until: Timestamp,
}

/// The account that took the username last is gone; anybody may have it at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameReleased {
    /// Who had it.
    pub aci: Aci,
}
