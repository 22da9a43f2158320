//! Group commit: one task owns the connection that writes, and commits what is waiting as one transaction.
//!
//! An append's cost is the disk's, and one sync serves a whole batch; so throughput grows with concurrency. Each append
//! still gets its own answer: `plan` decides them one after the other on remembered heads, and a refused append never
//! reaches the database. What this node remembers is true as long as `log.head` stands where it left it, and the insert
//! happens only if it does; a node that finds it moved catches up and decides again.

mod batch;
mod heads;
mod plan;
mod queue;
mod trouble;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use archive::MOVES;
use events::ports::Clock;
use events::store::{Position, Recorded};
use events::values::Timestamp;
use sqlx::{Connection as _, Error, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::follow::Recent;
use crate::options::Options;
use crate::wake::Head;
use batch::{Batch, Notes};
use heads::{Heads, Stand};
use plan::{Row, Starts, Verdict, plan};
use queue::Waiting;
pub(crate) use queue::{Queue, queue};
use trouble::Trouble;
use writer::Backend;

/// For how many batches a node that met another one locks the head before it decides.
const COURTEOUS_FOR: u32 = 32;

/// A node that has missed more events than this forgets its streams instead of catching up.
const CATCHES_UP_OVER: u64 = 10_000;

/// How often a batch may run into a unique index: once for its ids, once for its new streams, and once to spare.
const COLLISIONS: u32 = 3;

const BACKOFF: Duration = Duration::from_millis(50);

/// The one task that writes.
pub(crate) struct Appender {
    options: Options,
    clock: Arc<dyn Clock>,
    head: Arc<Head>,
    recent: Arc<Recent>,
    connection: Option<PgConnection>,
    /// Of the newest connection, also when that one is lost.
    backend: Option<Backend>,
    /// Where the log ended when this node last wrote or looked. What `heads` says is true for that moment.
    known: Position,
    heads: Heads,
    /// Batches left to lock the head for.
    courteous: u32,
}

impl Appender {
    /// An appender of a log that ends at `known` or further.
    pub(crate) fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        head: Arc<Head>,
        recent: Arc<Recent>,
        known: Position,
    ) -> Self {
        Self {
            heads: Heads::new(options.remembered_streams),
            options,
            clock,
            head,
            recent,
            connection: None,
            backend: None,
            known,
            courteous: 0,
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) async fn run(mut self, mut waiting: Waiting) {
        while let Some(requests) = waiting.batch().await {
            let (started, count) = (Instant::now(), requests.len());
            self.settle(Batch::new(requests)).await;
            metrics::histogram!("log_append_batch_requests")
                .record(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            metrics::histogram!("log_append_batch_seconds").record(started.elapsed().as_secs_f64());
        }
        if let Some(connection) = self.connection.take() {
            // Everything is committed; how the connection ends does not matter.
            drop(connection.close().await);
        }
    }

    /// Gets every request of a batch its answer.
    async fn settle(&mut self, batch: Batch) {
        let mut notes = Notes::on(&batch);
        match self.resolve(&batch, &mut notes).await {
            Ok(verdicts) => batch.answer(&notes, verdicts),
            Err(Trouble::Rejected(_)) if batch.len() > 1 => {
                // One of them is at fault. The others must not suffer for it.
                for alone in batch.split() {
                    Box::pin(self.settle(alone)).await;
                }
            }
            Err(trouble) => {
                let error = trouble.into_error();
                tracing::error!(%error, requests = batch.len(), "appends failed");
                batch.fail(error);
            }
        }
    }

    async fn resolve(&mut self, batch: &Batch, notes: &mut Notes) -> Result<Vec<Verdict>, Trouble> {
        let mut lost_at = None;
        let mut collisions = 0;
        loop {
            let answer = timeout(self.options.answer_within, self.attempt(batch, notes)).await;
            let trouble = match answer {
                Ok(Ok(Some(verdicts))) => return Ok(verdicts),
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => Trouble::from(error),
                Err(_) => Trouble::no_answer(),
            };
            match trouble {
                Trouble::Lost(error) => {
                    self.connection = None;
                    notes.answer_lost();
                    let lost_at = lost_at.get_or_insert_with(Instant::now);
                    if lost_at.elapsed() >= self.options.reconnect_within {
                        return Err(Trouble::Lost(error));
                    }
                    tracing::warn!(%error, "lost the connection that appends; opening another");
                    sleep(BACKOFF).await;
                }
                Trouble::IdStored(_) if collisions < COLLISIONS => {
                    collisions += 1;
                    notes.not_stored();
                    notes.suspect_all();
                }
                Trouble::RevisionTaken(_) if collisions < COLLISIONS => {
                    collisions += 1;
                    notes.not_stored();
                    notes.trusting = false;
                    batch
                        .streams()
                        .for_each(|(stream, _)| self.heads.forget(stream));
                }
                trouble => return Err(trouble),
            }
        }
    }

    /// Tries to commit; `None` if something was not as remembered. It is known then, and worth another try.
    async fn attempt(
        &mut self,
        batch: &Batch,
        notes: &mut Notes,
    ) -> Result<Option<Vec<Verdict>>, Error> {
        let mut connection = self.connect().await?;
        let outcome = if self.courteous > 0 {
            self.decide_alone(&mut connection, batch, notes).await
        } else {
            self.decide(&mut connection, batch, notes).await
        };
        self.connection = Some(connection);
        Ok(outcome?.map(|decided| {
            self.publish(decided.events);
            decided.verdicts
        }))
    }

    async fn connect(&mut self) -> Result<PgConnection, Error> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let options = self.options.pool.connect_options();
        let (mut connection, backend) = writer::connect(&options, self.backend.as_ref()).await?;
        self.head.written_by(backend.number());
        self.backend = Some(backend);
        let head = writer::head(&mut connection).await?;
        self.catch_up(&mut connection, head).await?;
        Ok(connection)
    }

    /// Decides while nobody else can append. A node does so when it has met another one that appends as well, lest both
    /// decide in vain for ever.
    async fn decide_alone(
        &mut self,
        connection: &mut PgConnection,
        batch: &Batch,
        notes: &mut Notes,
    ) -> Result<Option<Decided>, Error> {
        let mut transaction = connection.begin().await?;
        let head = writer::locked_head(&mut transaction).await?;
        self.courteous = if head == self.known {
            self.courteous - 1
        } else {
            COURTEOUS_FOR
        };
        self.catch_up(&mut transaction, head).await?;
        let decided = self.decide(&mut transaction, batch, notes).await?;
        transaction.commit().await?;
        Ok(decided)
    }

    async fn decide(
        &mut self,
        connection: &mut PgConnection,
        batch: &Batch,
        notes: &mut Notes,
    ) -> Result<Option<Decided>, Error> {
        let suspects = batch.suspects(notes);
        if !suspects.is_empty() {
            let (head, stored) = writer::places(connection, &suspects).await?;
            notes.found(stored);
            self.catch_up(connection, head).await?;
        }
        let starts = self.starts(connection, batch, notes.trusting).await?;
        let plan = plan(batch.candidates(notes), self.known, starts, &notes.stored);
        if plan.is_unsure() {
            notes.suspect_unsure(&plan);
            return Ok(None);
        }
        notes.sending(&plan);
        let at = self.clock.now();
        if plan.rows.is_empty() || writer::insert(connection, self.known, at, &plan.rows).await? {
            return Ok(Some(Decided {
                events: recorded(self.known, at, &plan.rows),
                verdicts: plan.verdicts,
            }));
        }
        // Another node was faster.
        self.courteous = COURTEOUS_FOR;
        notes.not_stored();
        notes.doubt();
        let head = writer::head(connection).await?;
        self.catch_up(connection, head).await?;
        Ok(None)
    }

    /// Where the streams of a batch stand.
    async fn starts<'a>(
        &mut self,
        connection: &mut PgConnection,
        batch: &'a Batch,
        trusting: bool,
    ) -> Result<Starts<'a>, Error> {
        let mut starts = Starts::new();
        let mut unknown = Vec::new();
        for (stream, said_to_be_new) in batch.streams() {
            if starts.contains_key(stream) {
                continue;
            }
            let remembered = self.heads.get(stream);
            // No index objects to a second beginning of a stream whose rows have moved away.
            let trusted = said_to_be_new && trusting && !MOVES.contains(&stream.family());
            if remembered.is_none() && !trusted {
                unknown.push(stream);
            }
            starts.insert(stream, remembered.and_then(|stand| stand.0));
        }
        if !unknown.is_empty() {
            let revisions = writer::last_revisions(connection, &unknown).await?;
            for (stream, revision) in unknown.into_iter().zip(revisions) {
                self.heads.set(stream, Stand(revision));
                starts.insert(stream, revision);
            }
        }
        Ok(starts)
    }

    /// Brings what is remembered to the moment when the log ended at `head`.
    async fn catch_up(
        &mut self,
        connection: &mut PgConnection,
        head: Position,
    ) -> Result<(), Error> {
        if head < self.known {
            tracing::error!(known = %self.known, %head, "the log has become shorter; was an older copy restored?");
            self.heads.clear();
        } else if head.0 - self.known.0 > CATCHES_UP_OVER {
            self.heads.clear();
        } else if head > self.known {
            for (stream, revision) in writer::moved_streams(connection, self.known, head).await? {
                self.heads.correct(&stream, revision);
            }
        }
        self.known = head;
        self.head.reached(head);
        Ok(())
    }

    /// What was committed is remembered, and followers hear of it.
    fn publish(&mut self, events: Arc<[Recorded]>) {
        for event in events.iter() {
            self.heads.set(&event.stream, Stand(Some(event.revision)));
        }
        if let Some(last) = events.last() {
            self.known = last.position;
            metrics::counter!("log_appended_events").increment(events.len() as u64);
            self.recent.push(events);
            self.head.reached(self.known);
        }
    }
}

/// A batch whose verdicts hold once its transaction is committed.
struct Decided {
    verdicts: Vec<Verdict>,
    /// As the transaction stores them.
    events: Arc<[Recorded]>,
}

/// What readers will see of `rows` once they are stored after `head`.
fn recorded(head: Position, at: Timestamp, rows: &[Row<'_>]) -> Arc<[Recorded]> {
    let event = |(row, position): (&Row<'_>, u64)| Recorded {
        position: Position(position),
        stream: row.stream.clone(),
        revision: row.revision,
        id: row.event.id,
        type_name: row.event.type_name.into(),
        data: row.event.data.clone(),
        metadata: row.event.metadata.clone(),
        recorded_at: at,
    };
    rows.iter().zip(head.0 + 1..).map(event).collect()
}
