//! Reading: one stream, or the whole log in order.

use events::store::{Batch, Position, ReadError, Recorded, Revision};
use events::stream::{Family, StreamId};
use sqlx::{PgPool, Row as _};

use crate::rows::{column, damaged, event_columns, recorded, unreadable};

/// How many positions one query looks at, whatever the filter lets through.
pub(crate) const PAGE: usize = 1000;

/// At most `limit` events of a stream from revision `from` on.
pub(crate) async fn stream(
    pool: &PgPool,
    stream: &StreamId,
    from: Revision,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        " FROM log.events e WHERE e.family = $1 AND e.stream = $2 AND e.revision >= $3 ORDER BY e.revision LIMIT $4"
    ))
    .bind(stream.family().code())
    .bind(stream.key())
    .bind(from.to_i64())
    .bind(limit_of(limit))
    .fetch_all(pool)
    .await
    .map_err(unreadable)?;
    let mut next = from;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let event = recorded(row)?;
        if event.revision != next {
            return Err(damaged(
                event.position,
                format!("revision {next} of {stream} is missing"),
            ));
        }
        next = next.next();
        events.push(event);
    }
    Ok(events)
}

/// The next stretch of the log that has an event of `families`, or else reaches the head.
pub(crate) async fn all(
    pool: &PgPool,
    after: Position,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let mut reached = after;
    loop {
        let page = page(pool, reached, families, limit).await?;
        let moved = page.through > reached;
        reached = page.through;
        if !page.events.is_empty() || !moved {
            return Ok(page);
        }
    }
}

/// The events of `families` among the next positions: one query, and so one snapshot.
///
/// Positions are dense and commit in order, so the number of rows in a range of positions tells whether one is missing.
pub(crate) async fn page(
    pool: &PgPool,
    after: Position,
    families: &[Family],
    limit: usize,
) -> Result<Batch, ReadError> {
    let codes: Vec<i16> = families.iter().map(|family| family.code()).collect();
    let span = limit_of(limit.max(PAGE));
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        ", seen.last, seen.rows, head.position
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
    .fetch_all(pool)
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
    let end = seen.check(after, span)?;
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
    let cut_short = events.len() == limit;
    let through = match events.last() {
        Some(last) if cut_short => last.position,
        Some(_) | None => end,
    };
    Ok(Batch { events, through })
}

/// What a query found in a range of positions.
struct Seen {
    last: Option<i64>,
    rows: i64,
    head: i64,
}

impl Seen {
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
