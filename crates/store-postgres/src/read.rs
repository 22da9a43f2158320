//! Reading: one stream, or the whole log in order.

mod streams;

use archive::{Archive, MOVES, Stretch};
use events::store::{Batch, Position, ReadError, Recorded, Revision};
use events::stream::{Family, StreamId};
use sqlx::{PgPool, Row as _};

use crate::rows::{column, damaged, event_columns, recorded, unreadable};
use streams::Streams;

/// How many positions one query looks at, whatever the filter lets through.
pub(crate) const PAGE: usize = 1000;

/// Where the log is: what has not moved, and what has.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) pool: PgPool,
    pub(crate) archive: Archive,
    streams: Streams,
}

impl Log {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            archive: Archive::new(pool.clone()),
            streams: Streams::new(pool.clone()),
            pool,
        }
    }
}

/// At most `limit` events of a stream from revision `from` on.
pub(crate) async fn stream(
    log: &Log,
    stream: &StreamId,
    from: Revision,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let mut events = log.streams.read(stream, from, limit).await?;
    let begins_late = events.first().is_none_or(|first| first.revision > from);
    if begins_late && MOVES.contains(&stream.family()) {
        let rows = std::mem::take(&mut events);
        events = log.archive.stream(stream, from, limit).await?;
        // What has moved since the rows were read is among them still.
        let next = events.last().map_or(from, |last| last.revision.next());
        events.extend(rows.into_iter().filter(|row| row.revision >= next));
        events.truncate(limit);
    }
    let mut next = from;
    for event in &events {
        if event.revision != next {
            return Err(damaged(
                event.position,
                format!("revision {next} of {stream} is missing"),
            ));
        }
        next = next.next();
    }
    Ok(events)
}

/// The next stretch of the log that has an event of `families`, or else reaches the head.
pub(crate) async fn all(
    log: &Log,
    after: Position,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let mut reached = after;
    loop {
        let page = page(log, reached, families, limit).await?;
        let moved = page.through > reached;
        reached = page.through;
        if !page.events.is_empty() || !moved {
            return Ok(page);
        }
    }
}

/// The events of `families` among the next positions: one query, and so one snapshot. What had moved by then is put back in its
/// place.
///
/// Positions are dense and commit in order, so the number of rows in a range of positions tells whether one is missing.
pub(crate) async fn page(
    log: &Log,
    after: Position,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let codes: Vec<i16> = families.iter().map(|family| family.code()).collect();
    let span = limit_of(limit.max(PAGE));
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        ", seen.last, seen.rows, head.position, 
            (SELECT through FROM log.segments WHERE after < $1 + $2 ORDER BY after DESC LIMIT 1)
         FROM log.head head
         CROSS JOIN (SELECT max(position) AS last, count(*) AS rows
                     FROM log.events WHERE position > $1 AND position <= $1 + $2) seen
         LEFT JOIN LATERAL (SELECT * FROM log.events
                            WHERE position > $1 AND position <= $1 + $2 AND family = ANY($3)
                            ORDER BY position LIMIT $4) e ON true
         ORDER BY e.position"
    ))
    .bind(after.to_i64())
    .bind(span)
    .bind(&codes)
    .bind(limit_of(limit))
    .fetch_all(&log.pool)
    .await
    .map_err(unreadable)?;
    let row = rows
        .first()
        .ok_or_else(|| damaged(Position::START, "log.head has no row"))?;
    let seen = Seen {
        last: column(row, 9)?,
        rows: column(row, 10)?,
        head: column(row, 11)?,
    };
    let reach: Option<i64> = column(row, 12)?;
    let reach = reach.map_or(Position::START, Position::from_i64);
    let end = Position::from_i64(seen.head.min(after.to_i64() + span));
    let moved = log.archive.stretch(after, end, reach).await?;
    let end = seen.with(moved.positions()).check(after, span)?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        if row
            .try_get::<Option<i64>, _>(0)
            .map_err(unreadable)?
            .is_some()
        {
            events.push(recorded(row)?);
        }
    }
    if families.iter().any(|family| MOVES.contains(family)) {
        events = put_back(events, &moved, limit).await?;
    }
    let cut_short = events.len() == limit;
    let through = match events.last() {
        Some(last) if cut_short => last.position,
        Some(_) | None => end,
    };
    Ok(Batch { events, through })
}

/// The first `limit` of the rows that were read and of what has moved from among them. Opens no segment that it does not need.
async fn put_back(
    rows: Vec<Recorded>,
    moved: &Stretch,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let mut end = match rows.last() {
        Some(last) if rows.len() == limit => last.position,
        Some(_) | None => Position(u64::MAX),
    };
    let mut positions: Vec<Position> = moved.positions().take_while(|it| *it <= end).collect();
    if positions.is_empty() {
        return Ok(rows);
    }
    positions.extend(rows.iter().map(|row| row.position));
    positions.sort_unstable();
    if let Some(last) = positions.get(limit.saturating_sub(1)) {
        end = *last;
    }
    let mut events = moved.events(end).await?;
    events.extend(rows);
    events.sort_unstable_by_key(|event| event.position);
    events.truncate(limit);
    Ok(events)
}

/// What a query found in a range of positions.
struct Seen {
    last: Option<i64>,
    rows: i64,
    head: i64,
}

impl Seen {
    /// The same, with the events that have moved away.
    fn with(mut self, moved: impl Iterator<Item = Position>) -> Self {
        for position in moved {
            self.rows += 1;
            self.last = self.last.max(Some(position.to_i64()));
        }
        self
    }

    /// The end of the range, if every position up to it is there.
    fn check(&self, after: Position, span: i64) -> Result<Position, ReadError> {
        let start = after.to_i64();
        if self.head < start {
            let what = format!(
                "the log ends at {}: was an older copy of the database restored?",
                self.head
            );
            return Err(damaged(after, what));
        }
        let end = self.head.min(start + span);
        if self.last.unwrap_or(start) == end && self.rows == end - start {
            return Ok(Position::from_i64(end));
        }
        let what = format!(
            "{} events stand between it and {end}, where {} should",
            self.rows,
            end - start
        );
        Err(damaged(after, what))
    }
}

/// The position of the last event.
pub(crate) async fn head(pool: &PgPool) -> Result<Position, ReadError> {
    let position: i64 = sqlx::query_scalar("SELECT position FROM log.head")
        .fetch_one(pool)
        .await
        .map_err(unreadable)?;
    Ok(Position::from_i64(position))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(last: Option<i64>, rows: i64, head: i64) -> Result<u64, ReadError> {
        Seen { last, rows, head }
            .check(Position(10), 5)
            .map(|position| position.0)
    }

    #[test]
    fn a_range_ends_at_the_head_or_where_the_page_ends() {
        assert_eq!(seen(None, 0, 10).unwrap(), 10);
        assert_eq!(seen(Some(12), 2, 12).unwrap(), 12);
        assert_eq!(seen(Some(15), 5, 40).unwrap(), 15);
    }

    #[test]
    fn a_missing_position_is_damage() {
        for (last, rows, head) in [
            (Some(15), 4, 40),
            (Some(14), 4, 40),
            (None, 0, 11),
            (None, 0, 9),
        ] {
            assert!(matches!(
                seen(last, rows, head),
                Err(ReadError::Damaged { .. })
            ));
        }
    }
}
