//! What an installation may want to set.

use std::time::Duration;

use sqlx::PgPool;

/// How a [`crate::PgEventStore`] works. [`Options::new`] has the measured defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// For reading; one of its connections listens for other nodes all the time. The appender has its own, to the same
    /// address.
    pub pool: PgPool,
    /// How many appends may wait before the next is refused.
    pub queue_requests: usize,
    /// How many bytes the waiting appends may hold before the next is refused.
    pub queue_bytes: usize,
    /// How many events are committed together at the most. An append of more has a batch of its own.
    pub batch_events: usize,
    /// How many bytes are committed together at the most. An append of more has a batch of its own.
    pub batch_bytes: usize,
    /// How many streams' last revisions are remembered (about 150 bytes each).
    pub remembered_streams: usize,
    /// How many bytes of the newest events are kept for followers on this node, which then need no query.
    pub recent_bytes: usize,
    /// How long appends wait for a lost connection to come back before they fail with an unknown outcome.
    pub reconnect_within: Duration,
    /// After how long a commit without an answer counts as a lost connection.
    pub answer_within: Duration,
}

impl Options {
    /// The defaults, on the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            queue_requests: 8192,
            queue_bytes: 64 << 20,
            batch_events: 1000,
            batch_bytes: 4 << 20,
            remembered_streams: 65_536,
            recent_bytes: 8 << 20,
            reconnect_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(30),
        }
    }
}

/// The most events that one append may have.
pub const MAX_APPEND_EVENTS: usize = 1000;

/// The most bytes that one append may have: 8 MiB.
pub const MAX_APPEND_BYTES: usize = 8 << 20;
