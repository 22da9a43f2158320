//! How far each proof of a phone number has come.

mod apply;
mod query;
mod row;

use events::verification::Proof;
use events::{E164, Pni, Position, SessionId, Timestamp};

pub(crate) use apply::VerificationSessions;
pub use query::VerificationSessionQueries;

/// The table.
const TABLE: &str = "verification_sessions_v1";

/// What has happened in a verification session. What may happen next is for the rules to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationSession {
    /// Its id.
    pub id: SessionId,
    /// The number; `None` once its key is destroyed.
    pub number: Option<E164>,
    /// The number's pseudonym.
    pub pni: Pni,
    /// The proofs that are still asked for, in the order of asking. Any one of them is enough.
    pub required: Vec<Proof>,
    /// The proofs that were given.
    pub submitted: Vec<Proof>,
    /// Text messages with codes.
    pub sms: Sends,
    /// Calls with codes.
    pub voice: Sends,
    /// Wrong codes submitted since a code last went out; `None` if no code is outstanding.
    pub checks: Option<Checks>,
    /// Whether the right code was submitted.
    pub verified: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When anything happened last.
    pub last_action_at: Timestamp,
    /// The last event that this takes into account.
    pub as_of: Position,
}

/// Codes that went out on one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sends {
    /// How many.
    pub count: u32,
    /// When the first went out.
    pub first: Option<Timestamp>,
    /// When the last went out.
    pub last: Option<Timestamp>,
    /// Whether this way turned out not to lead to the number.
    pub closed: bool,
}

/// Wrong codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// How many.
    pub count: u32,
    /// When the last was submitted.
    pub last: Option<Timestamp>,
}
