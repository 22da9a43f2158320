//! Reading long stretches: by COPY, which costs both sides a fraction of what pages cost.

use std::ops::ControlFlow;

use bytes::{Buf as _, Bytes};
use events::ids::EventId;
use events::store::{Batch, Position, ReadError, Recorded, Revision};
use events::stream::{Family, StreamId};
use events::values::Timestamp;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use sqlx::PgPool;
use sqlx::postgres::{PgPoolCopyExt as _, PgPoolOptions};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::rows::{damaged, family_of, name_of, unreadable};

/// How many positions one statement reads: it holds a snapshot for as long as it goes on.
const AT_ONCE: u64 = 100_000;

/// How many batches wait for a slow reader.
const AHEAD: usize = 2;

/// Everything of `families` after `after` up to `through`, in batches of at most `limit` events. A task reads ahead.
pub(crate) fn scan(
    pool: &PgPool,
    after: Position,
    through: Position,
    families: &[Family],
    limit: usize,
) -> BoxStream<'static, Result<Batch, ReadError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let scan = Scan {
        pool: pool.clone(),
        families: families.iter().map(|family| family.code()).collect(),
        limit,
        sender,
    };
    TaskTracker::new().spawn(scan.run(after, through));
    stream::unfold(receiver, async |mut receiver| {
        let batch = receiver.recv().await?;
        Some((batch, receiver))
    })
    .boxed()
}

struct Scan {
    pool: PgPool,
    families: Vec<i16>,
    limit: usize,
    sender: mpsc::Sender<Result<Batch, ReadError>>,
}

impl Scan {
    async fn run(self, after: Position, through: Position) {
        // A connection of its own: one that is left in the midst of a COPY is of no use to anybody else.
        let options = (*self.pool.connect_options()).clone();
        let own = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options);
        let mut reached = after;
        while reached < through {
            let end = Position(through.0.min(reached.0 + AT_ONCE));
            match self.range(&own, reached, end).await {
                Ok(ControlFlow::Continue(())) => reached = end,
                Ok(ControlFlow::Break(())) => break,
                Err(error) => {
                    // If nobody listens, nobody needs to know.
                    drop(self.sender.send(Err(error)).await);
                    break;
                }
            }
        }
        own.close().await;
    }

    /// Passes on what stands after one position up to another; breaks if nobody listens any more.
    async fn range(
        &self,
        pool: &PgPool,
        after: Position,
        end: Position,
    ) -> Result<ControlFlow<()>, ReadError> {
        is_whole(pool, after, end).await?;
        let families: Vec<String> = self.families.iter().map(i16::to_string).collect();
        // COPY takes no parameters; these are numbers.
        let statement = format!(
            "COPY (SELECT position, revision, recorded_at, event_id, family, type, stream, data, metadata
                   FROM log.events WHERE position > {after} AND position <= {end} AND family IN ({})
                   ORDER BY position)
             TO STDOUT (FORMAT binary)",
            families.join(", ")
        );
        let mut rows = pool.copy_out_raw(&statement).await.map_err(unreadable)?;
        let mut events = Vec::with_capacity(self.limit);
        let mut begun = false;
        while let Some(row) = rows.next().await {
            let mut row = row.map_err(unreadable)?;
            if !std::mem::replace(&mut begun, true) {
                skip_header(&mut row)?;
            }
            while let Some(event) = recorded(&mut row)? {
                let through = event.position;
                events.push(event);
                if events.len() == self.limit && through < end {
                    let events = std::mem::replace(&mut events, Vec::with_capacity(self.limit));
                    if self.pass_on(events, through).await.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(self.pass_on(events, end).await)
    }

    async fn pass_on(&self, events: Vec<Recorded>, through: Position) -> ControlFlow<()> {
        match self.sender.send(Ok(Batch { events, through })).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Positions are dense, so the number of rows in a range tells whether one is missing.
async fn is_whole(pool: &PgPool, after: Position, end: Position) -> Result<(), ReadError> {
    let rows: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM log.events WHERE position > $1 AND position <= $2",
    )
    .bind(after.to_i64())
    .bind(end.to_i64())
    .fetch_one(pool)
    .await
    .map_err(unreadable)?;
    let expected = end.to_i64() - after.to_i64();
    if rows == expected {
        return Ok(());
    }
    let what = format!("{rows} events stand between it and {end}, where {expected} should");
    Err(damaged(after, what))
}

/// The signature, the flags, and the length of an extension, which is empty.
const HEADER: usize = 11 + 4 + 4;

fn skip_header(bytes: &mut Bytes) -> Result<(), ReadError> {
    if bytes.len() < HEADER {
        return Err(malformed());
    }
    bytes.advance(HEADER);
    Ok(())
}

fn malformed() -> ReadError {
    ReadError::Unavailable("Postgres sent no COPY data of the expected form".into())
}

const COLUMNS: i16 = 9;

/// The next row, if there is one. Postgres sends whole rows, and in the end a mark without columns.
fn recorded(bytes: &mut Bytes) -> Result<Option<Recorded>, ReadError> {
    if bytes.is_empty() || bytes.try_get_i16().map_err(|_| malformed())? != COLUMNS {
        return Ok(None);
    }
    let position = Position::from_i64(i64::from_be_bytes(fixed(bytes)?));
    let revision = Revision::from_i64(i64::from_be_bytes(fixed(bytes)?));
    let recorded_at = Timestamp::from_i64(i64::from_be_bytes(fixed(bytes)?))
        .map_err(|error| damaged(position, error.to_string()))?;
    let id = EventId::from_uuid(Uuid::from_bytes(fixed(bytes)?));
    let family = family_of(position, i16::from_be_bytes(fixed(bytes)?))?;
    let type_name = name_of(family, i16::from_be_bytes(fixed(bytes)?));
    let key = field(bytes)?;
    let key = std::str::from_utf8(&key).map_err(|_| malformed())?;
    Ok(Some(Recorded {
        position,
        stream: StreamId::from_parts(family, key),
        revision,
        id,
        type_name,
        data: field(bytes)?,
        metadata: field(bytes)?,
        recorded_at,
    }))
}

fn field(bytes: &mut Bytes) -> Result<Bytes, ReadError> {
    let length = bytes.try_get_i32().map_err(|_| malformed())?;
    let length = usize::try_from(length).map_err(|_| malformed())?;
    if bytes.len() < length {
        return Err(malformed());
    }
    Ok(bytes.split_to(length))
}

fn fixed<const N: usize>(bytes: &mut Bytes) -> Result<[u8; N], ReadError> {
    (*field(bytes)?).try_into().map_err(|_| malformed())
}
