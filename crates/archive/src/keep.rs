//! Moving a segment: the object first, then, in one transaction, the catalogue's row and the deletion.
//!
//! Killed before the transaction, the events stand where they stood, and the next run removes the object; killed after it, they
//! stand in the archive. There is no moment at which they stand nowhere, or are read twice.

use std::collections::BTreeMap;

use events::line::NotALine;
use events::{Position, Revision, StreamId, Timestamp};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use sqlx::{Connection as _, PgConnection};

use crate::catalogue::Entry;
use crate::segment::{Segment, digest};
use crate::{MOVES, place};

/// Why a segment was not moved. Nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// An event was stored by hand.
    #[error(transparent)]
    NotALine(#[from] NotALine),
    /// The archive's address is wrong.
    #[error(transparent)]
    Place(#[from] place::NotAPlace),
    /// The object store failed.
    #[error("the object store of the archive failed")]
    Store(#[from] object_store::Error),
    /// What the store has is not what it was given.
    #[error("the object store does not give back what it was given: {0}")]
    Altered(String),
    /// Rows are not there that were a moment ago.
    #[error("{found} of the {expected} events through {through} are in the database")]
    Gone {
        /// How many have to be.
        expected: u64,
        /// How many are.
        found: u64,
        /// The end of the segment.
        through: Position,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Puts the segment into the store at `address`, and takes its events out of the table.
pub async fn keep(
    connection: &mut PgConnection,
    address: &str,
    segment: &Segment,
    at: Timestamp,
) -> Result<Entry, NotKept> {
    let object = segment.encode()?;
    let entry = Entry::of(segment, &object, address);
    let store = place::open(address)?;
    let path = Path::from(&*entry.name);
    note_upload(connection, &entry).await?;
    let payload = PutPayload::from_bytes(object);
    store.put(&path, payload).await?;
    let stored = store.get(&path).await?.bytes().await?;
    if digest(&stored) != entry.digest {
        return Err(NotKept::Altered(entry.name));
    }
    swap(connection, &entry, segment, at).await?;
    Ok(entry)
}

/// Removes the objects of runs that were killed before their transaction; tells how many there were.
pub async fn clear_away(connection: &mut PgConnection) -> Result<u64, NotKept> {
    let left: Vec<(String, String)> = sqlx::query_as("SELECT place, name FROM log.uploads")
        .fetch_all(&mut *connection)
        .await?;
    let mut removed = 0;
    for (address, name) in left {
        let store = place::open(&address)?;
        match store.delete(&Path::from(&*name)).await {
            Ok(()) => removed += 1,
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        forget_upload(connection, &address, &name).await?;
    }
    Ok(removed)
}

async fn note_upload(connection: &mut PgConnection, entry: &Entry) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO log.uploads (place, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&entry.place)
        .bind(&entry.name)
        .execute(connection)
        .await?;
    Ok(())
}

async fn forget_upload(
    connection: &mut PgConnection,
    place: &str,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM log.uploads WHERE place = $1 AND name = $2")
        .bind(place)
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}

/// From now on the events stand in the archive.
async fn swap(
    connection: &mut PgConnection,
    entry: &Entry,
    segment: &Segment,
    at: Timestamp,
) -> Result<(), NotKept> {
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "INSERT INTO log.segments (through, after, events, bytes, digest, place, name, moved, archived_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(entry.through.to_i64())
    .bind(entry.after.to_i64())
    .bind(i64::try_from(entry.events).unwrap_or(i64::MAX))
    .bind(i64::try_from(entry.bytes).unwrap_or(i64::MAX))
    .bind(&entry.digest[..])
    .bind(&entry.place)
    .bind(&entry.name)
    .bind(entry.moved.bits())
    .bind(at.to_i64())
    .execute(&mut *transaction)
    .await?;
    note_streams(&mut transaction, entry.through, segment).await?;
    let families: Vec<i16> = MOVES.iter().map(|family| family.code()).collect();
    let deleted = sqlx::query(
        "DELETE FROM log.events WHERE position > $1 AND position <= $2 AND family = ANY($3)",
    )
    .bind(entry.after.to_i64())
    .bind(entry.through.to_i64())
    .bind(families)
    .execute(&mut *transaction)
    .await?;
    if deleted.rows_affected() != entry.events {
        return Err(NotKept::Gone {
            expected: entry.events,
            found: deleted.rows_affected(),
            through: entry.through,
        });
    }
    forget_upload(&mut transaction, &entry.place, &entry.name).await?;
    transaction.commit().await?;
    Ok(())
}

async fn note_streams(
    connection: &mut PgConnection,
    through: Position,
    segment: &Segment,
) -> Result<(), sqlx::Error> {
    let mut streams: BTreeMap<(i16, &str), (Revision, Revision)> = BTreeMap::new();
    for event in &segment.events {
        let key = key_of(&event.stream);
        let (_, last) = streams
            .entry(key)
            .or_insert((event.revision, event.revision));
        *last = event.revision;
    }
    let (keys, revisions): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    let (families, names): (Vec<i16>, Vec<&str>) = keys.into_iter().unzip();
    let revisions = revisions
        .into_iter()
        .map(|(first, last)| (first.to_i64(), last.to_i64()));
    let (first, last): (Vec<i64>, Vec<i64>) = revisions.unzip();
    sqlx::query(
        "INSERT INTO log.segment_streams (family, stream, through, first_revision, last_revision)
         SELECT s.family, s.stream, $1, s.first, s.last
         FROM unnest($2::smallint[], $3::text[], $4::bigint[], $5::bigint[]) AS s (family, stream, first, last)",
    )
    .bind(through.to_i64())
    .bind(families)
    .bind(names)
    .bind(first)
    .bind(last)
    .execute(connection)
    .await?;
    Ok(())
}

fn key_of(stream: &StreamId) -> (i16, &str) {
    (stream.family().code(), stream.key())
}
