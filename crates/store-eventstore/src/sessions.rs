//! Appends over sessions: many under way in one call, which costs a quarter of what calls of their own cost.
//!
//! The client ends a session at its first refusal, also a plain conflict, and then cannot say what became of the other
//! appends on it. So a session is only ever the first try: whatever it does not acknowledge is asked for again in a call
//! of its own, with the same event ids, and answered by that. Appends that can meet a conflict do not share sessions
//! with those that cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use events::store::StreamWrite;
use events::{Expected, Revision};
use eventstore::{BatchAppendClient, BatchAppendOptions, EventData, ExpectedRevision};

use crate::Error;
use crate::cluster::{Cluster, Link};
use crate::envelope::position;

/// How many sessions appends of a kind are spread over: so many a conflict leaves alone.
const SESSIONS: usize = 4;

/// What the server acknowledged.
pub(crate) struct Acknowledged {
    pub(crate) revision: Revision,
    /// Not always told of a repeat.
    pub(crate) position: Option<events::Position>,
}

/// Why a session did not acknowledge an append.
pub(crate) enum Unacknowledged {
    /// The session ended, or could not begin. The append may have been stored.
    Ended,
    /// There is no time, or nobody to ask again.
    Failed(Error),
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    /// Of appends without expectations, which meet no conflict.
    unconditional: Pool,
    conditional: Pool,
}

#[derive(Default)]
struct Pool {
    next: AtomicUsize,
    slots: [tokio::sync::Mutex<Option<Arc<Session>>>; SESSIONS],
}

struct Session {
    client: BatchAppendClient,
    link: Arc<Link>,
    ended: AtomicBool,
}

impl Sessions {
    /// Tries to append.
    pub(crate) async fn append(
        &self,
        cluster: &Cluster,
        write: &StreamWrite,
        events: Vec<EventData>,
    ) -> Result<Acknowledged, Unacknowledged> {
        let pool = match write.expected {
            Expected::Any => &self.unconditional,
            Expected::NoStream | Expected::Exact(_) => &self.conditional,
        };
        let session = pool.session(cluster).await?;
        let expected = expected_revision(write.expected);
        let name = write.stream.to_string();
        let appending = session.client.append_to_stream(name, expected, events);
        let after = cluster.options().deadline;
        match tokio::time::timeout(after, appending).await {
            Ok(Ok(result)) => match result.current_revision() {
                Some(revision) => Ok(Acknowledged {
                    revision: Revision(revision),
                    position: result.current_position().and_then(position),
                }),
                None => Err(Unacknowledged::Ended),
            },
            Ok(Err(error)) => {
                tracing::debug!(stream = %write.stream, %error, "an append session ended");
                session.ended.store(true, Ordering::Release);
                Err(Unacknowledged::Ended)
            }
            Err(_) => {
                session.ended.store(true, Ordering::Release);
                session.link.give_up();
                Err(Unacknowledged::Failed(Error::Deadline { after }))
            }
        }
    }
}

pub(crate) const fn expected_revision(expected: Expected) -> ExpectedRevision {
    match expected {
        Expected::Any => ExpectedRevision::Any,
        Expected::NoStream => ExpectedRevision::NoStream,
        Expected::Exact(Revision(revision)) => ExpectedRevision::Exact(revision),
    }
}

impl Pool {
    /// The next session in turn; a new one if it has ended.
    async fn session(&self, cluster: &Cluster) -> Result<Arc<Session>, Unacknowledged> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % SESSIONS;
        let mut slot = self.slots[turn].lock().await;
        if let Some(session) = &*slot
            && !session.ended.load(Ordering::Acquire)
            && !session.link.is_broken()
        {
            return Ok(session.clone());
        }
        *slot = None;
        let link = cluster.link().await.map_err(Unacknowledged::Failed)?;
        let options = BatchAppendOptions::default();
        // A server that knows no sessions takes calls.
        let begun = link.client.batch_append(&options).await;
        let client = begun.map_err(|_| Unacknowledged::Ended)?;
        let ended = AtomicBool::new(false);
        let session = Arc::new(Session {
            client,
            link,
            ended,
        });
        *slot = Some(session.clone());
        Ok(session)
    }
}
