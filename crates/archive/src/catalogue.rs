//! The catalogue: which segments there are. Rows are never changed but by whoever moves objects elsewhere.

use events::{Position, StreamId};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row as _};

use crate::moved::Moved;
use crate::segment::Segment;

/// A segment, as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its positions follow this one.
    pub after: Position,
    /// Its last position.
    pub through: Position,
    /// How many events have moved.
    pub events: u64,
    /// The size of the object.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub digest: [u8; 32],
    /// The store's address.
    pub place: String,
    /// The object's name in it.
    pub name: String,
    pub(crate) moved: Moved,
}

impl Entry {
    pub(crate) fn of(segment: &Segment, object: &[u8], place: &str) -> Self {
        let digest = crate::segment::digest(object);
        let (after, through) = (segment.after, segment.through);
        let positions = segment.events.iter().map(|event| event.position);
        Self {
            after,
            through,
            events: segment.events.len() as u64,
            bytes: object.len() as u64,
            digest,
            place: place.to_owned(),
            name: format!(
                "mailbox/{:020}-{through:020}-{}.jsonl.gz",
                after.0 + 1,
                hex::encode(&digest[..8]),
                through = through.0
            ),
            moved: Moved::of(after, through, positions),
        }
    }

    /// The digest in hexadecimal.
    pub fn digest_text(&self) -> String {
        hex::encode(self.digest)
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let after = Position::from_i64(row.try_get("after")?);
        let digest: Vec<u8> = row.try_get("digest")?;
        let count = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)?.unsigned_abs());
        Ok(Self {
            after,
            through: Position::from_i64(row.try_get("through")?),
            events: count("events")?,
            bytes: count("bytes")?,
            digest: digest
                .try_into()
                .map_err(|_| sqlx::Error::Decode("a digest does not have 32 bytes".into()))?,
            place: row.try_get("place")?,
            name: row.try_get("name")?,
            moved: Moved::stored(after, row.try_get("moved")?),
        })
    }
}

/// The segments that end after `after`, in order.
pub async fn entries(
    database: impl PgExecutor<'_>,
    after: Position,
) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM log.segments WHERE through > $1 ORDER BY through")
        .bind(after.to_i64())
        .fetch_all(database)
        .await?;
    rows.iter().map(Entry::read).collect()
}

/// The segments of which the log does not say yet that they were archived.
pub async fn untold(database: impl PgExecutor<'_>) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM log.segments WHERE NOT told ORDER BY through")
        .fetch_all(database)
        .await?;
    rows.iter().map(Entry::read).collect()
}

/// Notes that the log says so.
pub async fn mark_told(database: impl PgExecutor<'_>, entry: &Entry) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE log.segments SET told = true WHERE through = $1")
        .bind(entry.through.to_i64())
        .execute(database)
        .await?;
    Ok(())
}

/// The last positions of the segments that have events of a stream from some revision on, in order.
pub(crate) async fn of_stream(
    database: impl PgExecutor<'_>,
    stream: &StreamId,
    from: i64,
) -> Result<Vec<Position>, sqlx::Error> {
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT through FROM log.segment_streams WHERE family = $1 AND stream = $2 AND last_revision >= $3
         ORDER BY first_revision",
    )
    .bind(stream.family().code())
    .bind(stream.key())
    .bind(from)
    .fetch_all(database)
    .await?;
    Ok(found.into_iter().map(Position::from_i64).collect())
}
