//! Why a WebSocket ends, and how its client is told.

use axum::extract::ws::{CloseFrame, Utf8Bytes};

/// Why a WebSocket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client closed it, or is gone.
    Left,
    /// The client was silent for too long, or did not read.
    Idle,
    /// Another socket of the device took over.
    ConnectedElsewhere,
    /// The device's credentials are void.
    Reauthenticate,
    /// A message that does not parse.
    BadFrame,
    /// A message beyond [`MESSAGE`](crate::limits::socket::MESSAGE).
    TooLarge,
    /// The inbox cannot be read.
    MailboxUnavailable,
    /// All that the socket was for has been done.
    Served,
    /// The server stops.
    ShuttingDown,
}

impl Ending {
    /// What goes into the close frame; nothing where nobody would read it.
    pub(crate) fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Left => return None,
            Self::Idle => (1000, "Timeout"),
            Self::ConnectedElsewhere => (4409, "Connected elsewhere"),
            Self::Reauthenticate => (4401, "Reauthentication required"),
            Self::BadFrame => (1007, "Badly formatted"),
            Self::TooLarge => (1009, "Message too large"),
            Self::MailboxUnavailable => (1011, "Failed to retrieve messages"),
            Self::Served | Self::ShuttingDown => (1000, "Closed"),
        };
        Some(CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        })
    }

    /// Whether the client may be there and still say something that counts.
    pub(crate) const fn lingers(self) -> bool {
        !matches!(self, Self::Left | Self::Idle)
    }

    /// The name in log lines and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Idle => "idle",
            Self::ConnectedElsewhere => "connected_elsewhere",
            Self::Reauthenticate => "reauthenticate",
            Self::BadFrame => "bad_frame",
            Self::TooLarge => "too_large",
            Self::MailboxUnavailable => "mailbox_unavailable",
            Self::Served => "served",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
