//! What a failed statement means for the batch.

use std::io;

use sqlx::Error;

/// A failed attempt to commit a batch.
#[derive(Debug)]
pub(super) enum Trouble {
    /// An event id of the batch is in the log already. Nothing was stored.
    IdStored(Error),
    /// A stream that was taken for new is not. Nothing was stored.
    RevisionTaken(Error),
    /// Something in the data of one append; the others are sound. Nothing was stored.
    Rejected(Error),
    /// The connection is gone, and with it the answer: the batch may be stored.
    Lost(Error),
    /// The database cannot store anything now. Nothing was stored.
    Failed(Error),
}

impl Trouble {
    /// No answer in time.
    pub(super) fn no_answer() -> Self {
        Self::Lost(Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer to the append statement",
        )))
    }

    /// The error behind it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::IdStored(e)
            | Self::RevisionTaken(e)
            | Self::Rejected(e)
            | Self::Lost(e)
            | Self::Failed(e) => e,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let Error::Database(refusal) = &error else {
            return Self::Lost(error);
        };
        match refusal.constraint() {
            Some("events_event_id_key") => return Self::IdStored(error),
            Some("events_stream_revision_key") => return Self::RevisionTaken(error),
            Some(_) | None => {}
        }
        let code = refusal.code().unwrap_or_default();
        match code.get(..2) {
            // Shutdown and crash of the server; a server that has become a standby.
            Some("08" | "57") => Self::Lost(error),
            Some("25") if code == "25006" => Self::Lost(error),
            // Data, integrity, program limits.
            Some("22" | "23" | "54") => Self::Rejected(error),
            _ => Self::Failed(error),
        }
    }
}
