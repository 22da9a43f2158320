//! An exported log becomes the log of an empty instance: same positions, same bytes, so same tree and same read models.

use std::io::BufRead;

use events::{Position, Recorded, codec};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::export::{KeyLine, Line, PayloadLine, parse};

/// How many rows are written at once.
const AT_ONCE: usize = 1_000;

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The position of the last event.
    pub through: Position,
    /// How many payloads came with it.
    pub payloads: u64,
    /// How many keys came with it.
    pub keys: u64,
}

#[derive(Default)]
struct Waiting {
    events: Vec<Recorded>,
    payloads: Vec<PayloadLine>,
}

/// Imports what `audit export` wrote, in one transaction: all of it or nothing. The log must be empty, and nobody appends
/// meanwhile.
pub async fn import(
    environment: &Environment,
    input: &mut (dyn BufRead + Send),
) -> Result<Imported, ReplayError> {
    if !environment.store.has_dense_positions() {
        return Err(ReplayError::PositionsNotOurs);
    }
    let mut transaction = environment.database.begin().await?;
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.head FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await?;
    if head != 0 {
        return Err(ReplayError::NotEmpty(Position::from_i64(head)));
    }
    let mut imported = Imported::default();
    let mut waiting = Waiting::default();
    for (number, text) in (1_u64..).zip(input.lines()) {
        let text = text?;
        if text.is_empty() {
            continue;
        }
        if environment.shutdown.is_cancelled() {
            return Err(ReplayError::Cancelled);
        }
        let wrong = |what| ReplayError::NotAnExport { number, what };
        match parse(&text).map_err(wrong)? {
            Line::Event(event) => {
                let expected = Position(imported.through.0 + 1);
                if event.position != expected {
                    return Err(wrong(format!(
                        "it has position {}, and {expected} is due: only a whole log can be imported",
                        event.position
                    )));
                }
                imported.through = expected;
                waiting.events.push(event);
            }
            Line::Key(key) => {
                store_key(&mut transaction, &key).await?;
                imported.keys += 1;
            }
            Line::Payload(payload) => {
                waiting.payloads.push(payload);
                imported.payloads += 1;
            }
        }
        if waiting.events.len() + waiting.payloads.len() >= AT_ONCE {
            waiting.store(&mut transaction).await?;
        }
    }
    waiting.store(&mut transaction).await?;
    sqlx::query("UPDATE log.head SET position = $1")
        .bind(imported.through.to_i64())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(imported)
}

impl Waiting {
    async fn store(&mut self, connection: &mut PgConnection) -> Result<(), ReplayError> {
        store_events(connection, &self.events).await?;
        store_payloads(connection, &self.payloads).await?;
        *self = Self::default();
        Ok(())
    }
}

fn column<'a, T>(events: &'a [Recorded], of: impl Fn(&'a Recorded) -> T) -> Vec<T> {
    events.iter().map(of).collect()
}

async fn store_events(
    connection: &mut PgConnection,
    events: &[Recorded],
) -> Result<(), ReplayError> {
    let mut kinds = Vec::with_capacity(events.len());
    for event in events {
        let family = event.stream.family();
        // A kind that only a newer version knows has its number for a name.
        let unknown = || event.type_name.strip_prefix('#')?.parse().ok();
        let kind = codec::type_code(family, &event.type_name).or_else(unknown);
        kinds.push(kind.ok_or_else(|| ReplayError::Illegible {
            position: event.position,
            what: format!("{family} events have no kind {:?}", event.type_name),
        })?);
    }
    sqlx::query(
        "INSERT INTO log.events (position, revision, recorded_at, event_id, family, type, stream, data, metadata)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::smallint[], $6::smallint[],
                              $7::text[], $8::bytea[], $9::bytea[])",
    )
    .bind(column(events, |event| event.position.to_i64()))
    .bind(column(events, |event| event.revision.to_i64()))
    .bind(column(events, |event| event.recorded_at.to_i64()))
    .bind(column(events, |event| event.id.uuid()))
    .bind(column(events, |event| event.stream.family().code()))
    .bind(kinds)
    .bind(column(events, |event| event.stream.key()))
    .bind(column(events, |event| &event.data[..]))
    .bind(column(events, |event| &event.metadata[..]))
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_payloads(
    connection: &mut PgConnection,
    payloads: &[PayloadLine],
) -> Result<(), ReplayError> {
    let ids: Vec<Uuid> = payloads.iter().map(|payload| payload.id).collect();
    let bytes: Vec<&str> = payloads.iter().map(|payload| &*payload.bytes).collect();
    sqlx::query(
        "INSERT INTO log.payloads (id, bytes)
         SELECT id, decode(bytes, 'hex') FROM unnest($1::uuid[], $2::text[]) AS t(id, bytes)",
    )
    .bind(ids)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_key(connection: &mut PgConnection, key: &KeyLine) -> Result<(), ReplayError> {
    sqlx::query(
        "INSERT INTO log.subject_keys (key_id, subject, owner, kind, deleted_before, secret)
         VALUES ($1, $2, $3, $4, $5, decode($6, 'hex'))",
    )
    .bind(key.id().0)
    .bind(key.subject)
    .bind(key.owner)
    .bind(key.kind)
    .bind(key.deleted_before)
    .bind(&key.secret)
    .execute(connection)
    .await?;
    Ok(())
}
