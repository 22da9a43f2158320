//! Reading long stretches: by COPY, which costs both sides a fraction of what pages cost.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::vec;

use archive::MOVES;
use bytes::{Buf as _, Bytes};
use events::codec;
use events::ids::EventId;
use events::store::{Batch, Position, ReadError, Recorded, Revision};
use events::stream::{Family, StreamId};
use events::values::Timestamp;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::read::Log;
use crate::rows::{damaged, family_of, name_of, unreadable};

/// How many positions one statement reads: it holds a snapshot for as long as it goes on.
const AT_ONCE: u64 = 100_000;

/// How many batches wait for a slow reader.
const AHEAD: usize = 2;

/// Everything of `families`, but for the kinds in `spare`, after one position up to another, in batches of at most `limit`
/// events. A task reads ahead. What has moved to the archive is not sifted.
pub(crate) fn scan(
    log: &Log,
    (after, through): (Position, Position),
    families: &[Family],
    spare: &[(Family, &'static str)],
    limit: usize,
) -> BoxStream<'static, Result<Batch, ReadError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let scan = Scan {
        log: log.clone(),
        wanted: wanted(families, spare),
        moves: families.iter().any(|family| MOVES.contains(family)),
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

/// The condition for rows that are wanted. It is made of numbers only: COPY takes no parameters.
fn wanted(families: &[Family], spare: &[(Family, &'static str)]) -> String {
    let kinds = |family: &Family| {
        let spared = spare.iter().filter(|(of, _)| of == family);
        let codes = spared.filter_map(|(_, kind)| codec::type_code(*family, kind));
        codes.map(|code| code.to_string()).collect::<Vec<_>>()
    };
    let each = families.iter().map(|family| match kinds(family) {
        kinds if kinds.is_empty() => format!("family = {}", family.code()),
        kinds => format!(
            "family = {} AND type NOT IN ({})",
            family.code(),
            kinds.join(", ")
        ),
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        "false".to_owned()
    } else {
        each.join(" OR ")
    }
}

struct Scan {
    log: Log,
    /// Which rows are wanted, in SQL.
    wanted: String,
    /// Whether what has moved is wanted.
    moves: bool,
    limit: usize,
    sender: mpsc::Sender<Result<Batch, ReadError>>,
}

impl Scan {
    async fn run(self, after: Position, through: Position) {
        if let Err(error) = self.pass_all_on(after, through).await {
            // If nobody listens, nobody needs to know.
            drop(self.sender.send(Err(error)).await);
        }
    }

    async fn pass_all_on(&self, after: Position, through: Position) -> Result<(), ReadError> {
        // A connection of its own: one that is left in the midst of a COPY is of no use to anybody else.
        let options = self.log.pool.connect_options();
        let mut own = PgConnection::connect_with(&options)
            .await
            .map_err(unreadable)?;
        let mut reached = after;
        while reached < through {
            let end = Position(through.0.min(reached.0 + AT_ONCE));
            if self.range(&mut own, reached, end).await?.is_break() {
                return Ok(());
            }
            reached = end;
        }
        own.close().await.map_err(unreadable)
    }

    /// Passes on what stands after one position up to another; breaks if nobody listens any more.
    async fn range(
        &self,
        own: &mut PgConnection,
        after: Position,
        end: Position,
    ) -> Result<ControlFlow<()>, ReadError> {
        // One snapshot: nothing moves away between the count and the rows.
        let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let mut snapshot = own.begin_with(statement).await.map_err(unreadable)?;
        let moved = self.moved(&mut snapshot, after, end).await?;
        let statement = format!(
            "COPY (SELECT position, revision, recorded_at, event_id, family, type, stream, data, metadata
                   FROM log.events WHERE position > {after} AND position <= {end} AND ({})
                   ORDER BY position)
             TO STDOUT (FORMAT binary)",
            self.wanted
        );
        let mut rows = snapshot
            .copy_out_raw(&statement)
            .await
            .map_err(unreadable)?;
        let mut portion = Portion {
            scan: self,
            end,
            moved: moved.into_iter().peekable(),
            events: Vec::with_capacity(self.limit),
        };
        let mut begun = false;
        while let Some(row) = rows.next().await {
            let mut row = row.map_err(unreadable)?;
            if !std::mem::replace(&mut begun, true) {
                skip_header(&mut row)?;
            }
            while let Some(event) = recorded(&mut row)? {
                if portion.take(event).await.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let passed_on = portion.finish().await;
        drop(rows);
        snapshot.commit().await.map_err(unreadable)?;
        Ok(passed_on)
    }

    /// What has moved away from after one position up to another, if everything else is there.
    async fn moved(
        &self,
        snapshot: &mut PgConnection,
        after: Position,
        end: Position,
    ) -> Result<Vec<Recorded>, ReadError> {
        let (rows, reach) = seen(snapshot, after, end).await?;
        let moved = self.log.archive.stretch(after, end, reach).await?;
        is_whole(rows + moved.positions().count() as u64, after, end)?;
        if self.moves {
            moved.events(end).await
        } else {
            Ok(Vec::new())
        }
    }

    async fn pass_on(&self, events: Vec<Recorded>, through: Position) -> ControlFlow<()> {
        match self.sender.send(Ok(Batch { events, through })).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Rows as they come, with what has moved put back in its place.
struct Portion<'a> {
    scan: &'a Scan,
    end: Position,
    moved: Peekable<vec::IntoIter<Recorded>>,
    events: Vec<Recorded>,
}

impl Portion<'_> {
    async fn take(&mut self, row: Recorded) -> ControlFlow<()> {
        while let Some(event) = self.moved.next_if(|event| event.position < row.position) {
            self.push(event).await?;
        }
        self.push(row).await
    }

    async fn push(&mut self, event: Recorded) -> ControlFlow<()> {
        let (limit, through) = (self.scan.limit, event.position);
        self.events.push(event);
        if self.events.len() < limit || through == self.end {
            return ControlFlow::Continue(());
        }
        let events = std::mem::replace(&mut self.events, Vec::with_capacity(limit));
        self.scan.pass_on(events, through).await
    }

    async fn finish(mut self) -> ControlFlow<()> {
        while let Some(event) = self.moved.next() {
            self.push(event).await?;
        }
        self.scan.pass_on(self.events, self.end).await
    }
}

/// How many rows there are after one position up to another, and where the last segment ends that may have some of them.
async fn seen(
    snapshot: &mut PgConnection,
    after: Position,
    end: Position,
) -> Result<(u64, Position), ReadError> {
    let (rows, reach): (i64, Option<i64>) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM log.events WHERE position > $1 AND position <= $2),
                (SELECT through FROM log.segments WHERE after < $2 ORDER BY after DESC LIMIT 1)",
    )
    .bind(after.to_i64())
    .bind(end.to_i64())
    .fetch_one(snapshot)
    .await
    .map_err(unreadable)?;
    let reach = reach.map_or(Position::START, Position::from_i64);
    Ok((rows.unsigned_abs(), reach))
}

/// Positions are dense, so the number of events in a range tells whether one is missing.
fn is_whole(rows: u64, after: Position, end: Position) -> Result<(), ReadError> {
    let expected = end.0 - after.0;
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
    let length = length(bytes)?;
    let key = std::str::from_utf8(&bytes[..length]).map_err(|_| malformed())?;
    let stream = StreamId::from_parts(family, key);
    bytes.advance(length);
    Ok(Some(Recorded {
        position,
        stream,
        revision,
        id,
        type_name,
        data: field(bytes)?,
        metadata: field(bytes)?,
        recorded_at,
    }))
}

/// The length of the next field, all of which is there.
fn length(bytes: &mut Bytes) -> Result<usize, ReadError> {
    let length = bytes.try_get_i32().map_err(|_| malformed())?;
    let length = usize::try_from(length).map_err(|_| malformed())?;
    if bytes.len() < length {
        return Err(malformed());
    }
    Ok(length)
}

fn field(bytes: &mut Bytes) -> Result<Bytes, ReadError> {
    let length = length(bytes)?;
    Ok(bytes.split_to(length))
}

fn fixed<const N: usize>(bytes: &mut Bytes) -> Result<[u8; N], ReadError> {
    if length(bytes)? != N {
        return Err(malformed());
    }
    let field = *bytes.first_chunk().ok_or_else(malformed)?;
    bytes.advance(N);
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_kinds_that_can_be_spared_are_not_wanted() {
        let families = [Family::Account, Family::Mailbox];
        let spare = [
            (Family::Account, "DeviceSeen"),
            (Family::Account, "of a newer version"),
            (Family::Keys, "PreKeysUploaded"),
        ];
        assert_eq!(
            wanted(&families, &spare),
            "family = 1 AND type NOT IN (10) OR family = 3"
        );
        assert_eq!(wanted(&[], &spare), "false");
    }
}
