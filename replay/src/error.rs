//! Why a command was not carried out.

use events::{AppendError, Position, ReadError};
use subscription::{FeedError, NotParked, StandingError};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The operator ended it. Nothing is left of it.
    #[error("cancelled; nothing was changed")]
    Cancelled,
    /// Somebody rebuilds or verifies the same read model.
    #[error("somebody else is at work on {0}; wait for them to finish")]
    Busy(String),
    /// An event cannot be folded.
    #[error(
        "{model} cannot take the event at position {position}: {what}. Mend the code, or have it passed over: \
         replay park {model} {position} --reason \"…\""
    )]
    Refused {
        /// The read model.
        model: &'static str,
        /// The event.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody of this name follows the log.
    #[error("nothing is called {name:?}; these follow the log here: {known}")]
    NoFollower {
        /// The name.
        name: Box<str>,
        /// The read models, and the reactors that have ever run here.
        known: String,
    },
    /// A fold broke down over some event.
    #[error(
        "the fold of {0} panicked; its worker stops at the event that is at fault, and names it"
    )]
    Panicked(&'static str),
    /// An event that an audit has to show cannot be read.
    #[error("the event at position {position} cannot be read: {what}")]
    Illegible {
        /// The event.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// Queries that never end keep the tables from being swapped.
    #[error(
        "{0} is rebuilt, but long queries hold its tables: it could not be put in place. Try again when they are done"
    )]
    TablesInUse(&'static str),
    /// An import needs an empty log.
    #[error("the log has {0} events already; a log can be imported into an empty instance only")]
    NotEmpty(Position),
    /// A log on a cluster cannot be filled at given positions.
    #[error(
        "the log stands on a cluster, which gives out positions of its own: an export can be imported into a log in \
         Postgres only (without --eventstore-url)"
    )]
    PositionsNotOurs,
    /// A line of an import cannot be used.
    #[error("line {number}: {what}; nothing was imported")]
    NotAnExport {
        /// Which line, from 1.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A file cannot be used.
    #[error("{}: {what}", file.display())]
    Input {
        /// Which.
        file: std::path::PathBuf,
        /// Why not.
        what: String,
    },
    /// No signed head covers the event.
    #[error(
        "no signed head covers position {0}; the server signs one now and then, if the log has grown"
    )]
    NotCovered(Position),
    /// Positions may have gaps between them, where the log stands on a cluster.
    #[error("no event stands at position {0}")]
    NoSuchEvent(Position),
    /// The log has no such head.
    #[error(
        "the log holds no signed head over {0} events (`audit search --event TreeHeadSigned` shows those it has)"
    )]
    NoSuchHead(u64),
    /// The event is not the one that the tree was built from.
    #[error(
        "the event at position {0} is not the one that was signed: somebody has changed the log or the tree; see `audit check`"
    )]
    Edited(Position),
    /// Old events cannot be moved out of this log.
    #[error(
        "this log is on a cluster, which cannot give events to an archive and read them back: its history stays there. \
         Limits of its own ($maxAge and scavenging) would delete for good, and read models could not be rebuilt"
    )]
    NoArchive,
    /// What was to move is not what was signed.
    #[error(
        "the events after position {0} through {1} are not those that were signed: nothing of them was moved; see `audit check`"
    )]
    NotAsSigned(Position, Position),
    /// A segment could not be moved.
    #[error("old events could not be moved; none is lost")]
    NotMoved(#[from] archive::NotKept),
    /// Somebody's history is asked for, and not whose.
    #[error("whose? --account names them; `audit search` looks at the whole log")]
    NoAccount,
    /// Checking needs a key.
    #[error("--public-key (or HELIOGRAPH_LOG_PUBLIC_KEY) is needed: `heliograph keygen` prints it")]
    NoPublicKey,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] FeedError),
    /// The log cannot be written.
    #[error("the command was carried out, but could not be recorded in the log")]
    NotRecorded(#[source] AppendError),
    /// The event was not parked.
    #[error(transparent)]
    NotParked(#[from] NotParked),
    /// Nobody knows where the projections stand.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// The read models' database failed.
    #[error("the database of the read models failed")]
    Database(#[from] sqlx::Error),
    /// The answer could not be written.
    #[error("the output cannot be written")]
    Output(#[from] std::io::Error),
}

impl From<ReadError> for ReplayError {
    fn from(error: ReadError) -> Self {
        Self::Log(error.into())
    }
}
