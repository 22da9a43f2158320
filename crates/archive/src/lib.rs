#![doc = include_str!("../README.md")]

mod archive;
mod catalogue;
mod keep;
mod moved;
mod place;
pub mod segment;

pub use archive::{Archive, Stretch};
pub use catalogue::{Entry, entries, mark_told, untold};
pub use keep::{NotKept, clear_away, keep};
pub use place::{NotAPlace, check as check_place};
pub use segment::Segment;

use events::{Family, Position, ReadError};

/// The families whose old events may move. What others hold is read by rules.
pub const MOVES: [Family; 1] = [Family::Mailbox];

/// How many positions a segment has at the most. It is read as a whole, so this bounds memory.
pub const SEGMENT: u64 = 50_000;

fn damaged(position: Position, what: impl Into<String>) -> ReadError {
    ReadError::Damaged {
        position,
        what: what.into(),
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}
