//! The SQL of the appender, on a connection of its own.

use bytes::Bytes;
use events::codec;
use events::ids::EventId;
use events::store::{Position, Revision};
use events::stream::{Family, StreamId};
use events::values::Timestamp;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::plan::{Place, Row, Stored};

/// What `pg_stat_activity` calls the connection that writes.
const APPLICATION: &str = "heliograph appender";

/// A server process, so that it can be told from a later one with the same number.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pid: i32,
    started: String,
}

impl Backend {
    /// Its number, as notifications tell it.
    pub(super) fn number(&self) -> u32 {
        self.pid.unsigned_abs()
    }
}

/// Opens the connection that writes, once the one before it (if there was one) cannot write any more.
pub(super) async fn connect(
    options: &PgConnectOptions,
    previous: Option<&Backend>,
) -> Result<(PgConnection, Backend), sqlx::Error> {
    let options = options.clone().application_name(APPLICATION);
    let mut connection = PgConnection::connect_with(&options).await?;
    if let Some(backend) = previous {
        terminate(&mut connection, backend).await?;
    }
    // An answer promises that the events are on disk, whatever the database's default may be.
    sqlx::query(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    )
    .execute(&mut connection)
    .await?;
    let (pid, started) = sqlx::query_as(
        "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    )
    .fetch_one(&mut connection)
    .await?;
    Ok((connection, Backend { pid, started }))
}

/// Ends a backend whose last answer was lost: only then is it settled whether its transaction took effect.
async fn terminate(connection: &mut PgConnection, backend: &Backend) -> Result<(), sqlx::Error> {
    let ended: Option<bool> = sqlx::query_scalar(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
    )
    .bind(backend.pid)
    .bind(&backend.started)
    .fetch_optional(connection)
    .await?;
    match ended {
        Some(false) => Err(sqlx::Error::Protocol(format!(
            "backend {} does not end",
            backend.pid
        ))),
        Some(true) | None => Ok(()),
    }
}

/// Where the log ends.
pub(super) async fn head(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.head")
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(head))
}

/// Where the log ends, and will until this transaction does.
pub(super) async fn locked_head(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.head FOR UPDATE")
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(head))
}

/// The streams that have got events after one position and up to another, with their last revisions.
pub(super) async fn moved_streams(
    connection: &mut PgConnection,
    after: Position,
    through: Position,
) -> Result<Vec<(StreamId, Revision)>, sqlx::Error> {
    let rows: Vec<(i16, String, i64)> = sqlx::query_as(
        "SELECT family, stream, max(revision)
         FROM (SELECT family, stream, revision FROM log.events WHERE position > $1 AND position <= $2
               UNION ALL
               SELECT family, stream, last_revision FROM log.segment_streams WHERE through > $1) moved
         GROUP BY family, stream",
    )
    .bind(after.to_i64())
    .bind(through.to_i64())
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(family, key, revision)| {
            Some((stream(family, &key)?, Revision::from_i64(revision)))
        })
        .collect())
}

/// The last revisions of `streams`, in their order.
pub(super) async fn last_revisions(
    connection: &mut PgConnection,
    streams: &[&StreamId],
) -> Result<Vec<Option<Revision>>, sqlx::Error> {
    let families: Vec<i16> = streams
        .iter()
        .map(|stream| stream.family().code())
        .collect();
    let keys: Vec<&str> = streams.iter().map(|stream| stream.key()).collect();
    let revisions: Vec<Option<i64>> = sqlx::query_scalar(
        "SELECT coalesce(
                    (SELECT e.revision FROM log.events e WHERE e.family = s.family AND e.stream = s.stream
                     ORDER BY e.revision DESC LIMIT 1),
                    (SELECT max(a.last_revision) FROM log.segment_streams a
                     WHERE a.family = s.family AND a.stream = s.stream))
         FROM unnest($1::smallint[], $2::text[]) WITH ORDINALITY AS s (family, stream, place)
         ORDER BY s.place",
    )
    .bind(&families)
    .bind(&keys)
    .fetch_all(connection)
    .await?;
    Ok(revisions
        .into_iter()
        .map(|revision| revision.map(Revision::from_i64))
        .collect())
}

/// Those of `ids` that the log has, and where the log ends at that moment.
pub(super) async fn places(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<(Position, Stored), sqlx::Error> {
    type Found = (
        i64,
        Option<Uuid>,
        Option<i64>,
        Option<i16>,
        Option<String>,
        Option<i64>,
    );
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT h.position, e.event_id, e.position, e.family, e.stream, e.revision
         FROM log.head h LEFT JOIN log.events e ON e.event_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let head = rows.first().map_or(0, |(head, ..)| *head);
    let place = |(_, id, position, family, key, revision): Found| {
        let place = Place {
            position: Position::from_i64(position?),
            stream: stream(family?, &key?)?,
            revision: Revision::from_i64(revision?),
        };
        Some((EventId::from_uuid(id?), place))
    };
    Ok((
        Position::from_i64(head),
        rows.into_iter().filter_map(place).collect(),
    ))
}

/// A stream by its columns. One of an unknown family cannot be in a batch of this version, so it is nobody's business.
fn stream(family: i16, key: &str) -> Option<StreamId> {
    Some(StreamId::from_parts(Family::from_code(family)?, key))
}

/// Stores `rows` after `head` in one statement, payloads and notification included; `false` and nothing stored if the
/// log does not end at `head`.
///
/// The head's row stays locked until the commit. A second node that waits for it finds it moved and inserts nothing.
/// A payload that is there already stays as it is.
pub(super) async fn insert(
    connection: &mut PgConnection,
    head: Position,
    at: Timestamp,
    rows: &[Row<'_>],
) -> Result<bool, sqlx::Error> {
    let columns = Columns::of(rows);
    let moved = sqlx::query(
        "WITH moved AS (
             UPDATE log.head SET position = position + $2 WHERE position = $1 RETURNING position
         ), kept AS (
             INSERT INTO log.payloads (id, bytes)
             SELECT p.id, p.bytes FROM unnest($10::uuid[], $11::bytea[]) AS p (id, bytes), moved
             ON CONFLICT (id) DO NOTHING
         ), stored AS (
             INSERT INTO log.events
                 (position, revision, recorded_at, event_id, family, type, stream, data, metadata)
             SELECT $1 + e.place, e.revision, $3, e.event_id, e.family, e.type, e.stream, e.data, e.metadata
             FROM unnest($4::bigint[], $5::uuid[], $6::smallint[], $7::smallint[], $8::text[], $9::bytea[],
                         $12::bytea[]) WITH ORDINALITY
                  AS e (revision, event_id, family, type, stream, data, metadata, place), moved
         )
         SELECT pg_notify('log_appended', position::text) FROM moved",
    )
    .bind(head.to_i64())
    .bind(i64::try_from(rows.len()).expect("a batch is small"))
    .bind(at.to_i64())
    .bind(&columns.revisions)
    .bind(&columns.ids)
    .bind(&columns.families)
    .bind(&columns.types)
    .bind(&columns.streams)
    .bind(&columns.data)
    .bind(&columns.payload_ids)
    .bind(&columns.payload_bytes)
    .bind(&columns.metadata)
    .fetch_optional(connection)
    .await?;
    Ok(moved.is_some())
}

/// Rows, turned on their side.
#[derive(Default)]
struct Columns<'a> {
    revisions: Vec<i64>,
    ids: Vec<Uuid>,
    families: Vec<i16>,
    types: Vec<i16>,
    streams: Vec<&'a str>,
    data: Vec<&'a [u8]>,
    metadata: Vec<&'a [u8]>,
    payload_ids: Vec<Uuid>,
    payload_bytes: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[Row<'a>]) -> Self {
        let mut columns = Self::default();
        for Row {
            stream,
            revision,
            event,
        } in rows
        {
            let family = stream.family();
            columns.revisions.push(revision.to_i64());
            columns.ids.push(event.id.uuid());
            columns.families.push(family.code());
            columns.types.push(
                codec::type_code(family, event.type_name)
                    .expect("the queue takes known types only"),
            );
            columns.streams.push(stream.key());
            columns.data.push(&event.data);
            columns.metadata.push(&event.metadata);
            for payload in &event.payloads {
                columns.payload_ids.push(payload.id.0);
                columns.payload_bytes.push(Bytes::as_ref(&payload.bytes));
            }
        }
        columns
    }
}
