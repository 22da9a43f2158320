//! Why the cluster did not do what it was asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use events::{AppendError, ReadError};

use crate::ProviderTaken;

/// Codes of gRPC, by their numbers: the client's type for them is of a version of its library that is not ours.
const CANCELLED: i32 = 1;
const ABORTED: i32 = 10;

/// Why the cluster could not be reached, or did not answer as it should. Inside of [`AppendError::Unavailable`] and
/// [`ReadError::Unavailable`] it stands as their source.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The TLS provider of the process is somebody else's.
    #[error(transparent)]
    ProviderTaken(#[from] ProviderTaken),
    /// No connection to the node.
    #[error("no connection to the EventStoreDB node {node}")]
    Unreachable {
        /// `host:port`.
        node: String,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// None of the nodes said who leads.
    #[error("no EventStoreDB node could be chosen out of {hosts}: {why}")]
    NoNode {
        /// Those that were asked.
        hosts: String,
        /// What the client says.
        why: String,
    },
    /// The certificates to trust could not be read, or the node's name is no name.
    #[error("TLS to EventStoreDB cannot be set up: {0}")]
    Tls(String),
    /// The client's task ended while it started.
    #[error(
        "the EventStoreDB client ended while it started; standard error tells why (unreadable system certificates are \
         the usual cause: name a file of certificates with tlsCaFile)"
    )]
    ClientEnded,
    /// Refused by the server.
    #[error(
        "EventStoreDB refused the user or the password of the connection string, or the user may not do this"
    )]
    AccessDenied,
    /// The node is a follower, and so were those that it named.
    #[error("the EventStoreDB node is not the leader; it names {leader}")]
    NotLeader {
        /// `host:port` of the last one named.
        leader: String,
    },
    /// No answer in time. What was asked for may happen, or have happened, all the same.
    #[error("no answer from EventStoreDB within {after:?}; the outcome is unknown")]
    Deadline {
        /// How long that was.
        after: Duration,
    },
    /// The connection broke before the answer. What was asked for may have happened all the same.
    #[error("the connection to EventStoreDB broke, or the server failed: {0}")]
    Broken(String),
    /// The stream was deleted by somebody.
    #[error("stream {0} was deleted on the server")]
    StreamDeleted(String),
    /// Any other answer.
    #[error("EventStoreDB answered: {0}")]
    Other(String),
}

impl Error {
    /// Of an error that the client gave.
    pub(crate) fn of(error: &eventstore::Error) -> Self {
        match error {
            eventstore::Error::AccessDenied => Self::AccessDenied,
            eventstore::Error::NotLeaderException(leader) => Self::NotLeader {
                leader: format!("{}:{}", leader.host, leader.port),
            },
            eventstore::Error::ServerError(_)
            | eventstore::Error::ConnectionClosed
            | eventstore::Error::GrpcConnectionError(_) => Self::Broken(error.to_string()),
            // A connection that ends in the middle of a call shows as one that somebody gave up, too.
            eventstore::Error::Grpc { code, message }
                if [CANCELLED, ABORTED].contains(&(*code as i32)) =>
            {
                Self::Broken(message.clone())
            }
            other => Self::Other(other.to_string()),
        }
    }

    /// Whether the call may have been carried out, and another try on another connection makes sense.
    pub(crate) const fn is_transport(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
