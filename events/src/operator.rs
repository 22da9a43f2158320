//! `operator-{id}`: what administrators did to the system itself.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::store::Position;

event_family! {
    /// What an administrator can have done.
    OperatorEvent in Operator {
        1 ProjectionRebuilt { }
        2 EventParked { }
        3 EventUnparked { }
        10 LogExported { }
        11 HistoryArchived { }
        20 RebuildPaused { }
        21 RebuildResumed { }
        22 RebuildCancelled { }
    }
}

/// A read model was built anew from the log and took the place of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionRebuilt {
    /// The read model's name.
    pub model: Box<str>,
    /// The version of its tables.
    pub version: u32,
    /// How many events went into it.
    pub events: u64,
    /// How far it had read when it took over.
    pub through: Position,
}

/// A projection or a reactor was told to pass over an event that it cannot take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventParked {
    /// The projection or the reactor.
    pub model: Box<str>,
    /// The event.
    pub position: Position,
    /// Why, in the operator's words.
    pub reason: Box<str>,
}

/// A parked event may be applied again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventUnparked {
    /// The projection or the reactor.
    pub model: Box<str>,
    /// The event.
    pub position: Position,
    /// Why, in the operator's words.
    pub reason: Box<str>,
}

/// Events were written to a file, or wherever the operator sent them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogExported {
    /// How far the log was read.
    pub through: Position,
    /// How many events were written.
    pub events: u64,
    /// Whether all events were asked for.
    pub whole: bool,
    /// Whether keys to personal values and payloads went with them.
    pub secrets: bool,
}

/// A rebuild under way was told to rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildPaused {
    /// The read model's name.
    pub model: Box<str>,
}

/// A rebuild that rested was told to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildResumed {
    /// The read model's name.
    pub model: Box<str>,
}

/// A rebuild under way was told to end; the old rows stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildCancelled {
    /// The read model's name.
    pub model: Box<str>,
}

/// Old events of mailboxes moved from the database to an object store. They are part of the log as before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryArchived {
    /// The positions follow this one.
    pub after: Position,
    /// The last position.
    pub through: Position,
    /// How many events moved.
    pub events: u64,
    /// Where the object store is.
    pub place: Box<str>,
    /// The object's name there.
    pub name: Box<str>,
    /// SHA-256 of the object, hexadecimal.
    pub digest: Box<str>,
}
