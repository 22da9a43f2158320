//! Reading what has moved, as if it had not.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::{Position, ReadError, Recorded, Revision, StreamId};
use moka::future::Cache;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sqlx::PgPool;
use tokio_util::task::TaskTracker;

use crate::catalogue::{self, Entry};
use crate::segment::{Segment, digest};
use crate::{damaged, place, unavailable};

/// How many segments are kept in memory: who reads on needs the same ones again.
const REMEMBERED: u64 = 3;

/// The archive of a log. Clones share what they remember.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    database: PgPool,
    /// The catalogue as far as it was needed, in order.
    known: Mutex<Vec<Arc<Entry>>>,
    places: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    /// By last position.
    opened: Cache<Position, Arc<Segment>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Archive")
    }
}

impl Archive {
    /// The archive whose catalogue is in this database.
    pub fn new(database: PgPool) -> Self {
        Self(Arc::new(Inner {
            database,
            known: Mutex::default(),
            places: Mutex::default(),
            opened: Cache::new(REMEMBERED),
        }))
    }

    /// What has moved of the positions after one up to another, as it was when the last segment ended with `reach`.
    pub async fn stretch(
        &self,
        after: Position,
        end: Position,
        reach: Position,
    ) -> Result<Stretch, ReadError> {
        let mut entries = Vec::new();
        if reach > after {
            self.know_through(reach).await?;
            let known = self.known();
            let first = known.partition_point(|entry| entry.through <= after);
            let there = known[first..]
                .iter()
                .take_while(|entry| entry.after < end && entry.through <= reach);
            entries.extend(there.cloned());
        }
        Ok(Stretch {
            archive: self.clone(),
            entries,
            after,
            end,
        })
    }

    /// At most `limit` events of a stream that have moved, from revision `from` on.
    pub async fn stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let segments = catalogue::of_stream(&self.0.database, stream, from.to_i64())
            .await
            .map_err(unavailable)?;
        let mut events = Vec::new();
        for through in segments {
            self.know_through(through).await?;
            let entry = self.entry(through)?;
            let segment = self.open(&entry).await?;
            let wanted = |event: &&Recorded| event.stream == *stream && event.revision >= from;
            events.extend(segment.events.iter().filter(wanted).cloned());
            if events.len() >= limit {
                events.truncate(limit);
                break;
            }
        }
        Ok(events)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, through: Position) -> Result<Arc<Entry>, ReadError> {
        let known = self.known();
        let found = known.iter().find(|entry| entry.through == through);
        let missing = || damaged(through, "the catalogue of the archive lacks a segment");
        found.cloned().ok_or_else(missing)
    }

    /// Reads the catalogue, if it is not known up to the segment that ends with `reach`.
    async fn know_through(&self, reach: Position) -> Result<(), ReadError> {
        let last = |known: &[Arc<Entry>]| known.last().map_or(Position::START, |it| it.through);
        let known = last(&self.known());
        if known >= reach {
            return Ok(());
        }
        let new = catalogue::entries(&self.0.database, known)
            .await
            .map_err(unavailable)?;
        let mut known = self.known();
        for entry in new {
            if last(&known) < entry.through {
                known.push(Arc::new(entry));
            }
        }
        Ok(())
    }

    /// Opens a segment, or remembers it.
    pub async fn open(&self, entry: &Entry) -> Result<Arc<Segment>, ReadError> {
        let opening = self.fetch(entry);
        let opened = self.0.opened.try_get_with(entry.through, opening).await;
        opened.map_err(|error: Arc<ReadError>| match &*error {
            ReadError::Damaged { position, what } => damaged(*position, what.clone()),
            ReadError::Unavailable(_) => unavailable(error),
        })
    }

    /// Fetches a segment and checks that it is the one that was put there.
    pub async fn fetch(&self, entry: &Entry) -> Result<Arc<Segment>, ReadError> {
        let first = Position(entry.after.0 + 1);
        let wrong = |what: String| damaged(first, format!("segment {}: {what}", entry.name));
        let store = self.place(&entry.place)?;
        let object = match store.get(&Path::from(&*entry.name)).await {
            Ok(object) => object.bytes().await.map_err(unavailable)?,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(wrong(format!("it is not at {}", entry.place)));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let expected = entry.digest;
        let decoding = TaskTracker::new().spawn_blocking(move || {
            if digest(&object) != expected {
                return Err("somebody has changed it: its digest is another".to_owned());
            }
            Segment::decode(&object)
        });
        let segment = decoding.await.map_err(unavailable)?.map_err(wrong)?;
        let moved = entry.moved.between(entry.after, entry.through);
        let positions = segment.events.iter().map(|event| event.position);
        if segment.after != entry.after || segment.through != entry.through || !positions.eq(moved)
        {
            return Err(wrong(
                "it holds other positions than the catalogue says".to_owned(),
            ));
        }
        Ok(Arc::new(segment))
    }

    fn place(&self, address: &str) -> Result<Arc<dyn ObjectStore>, ReadError> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(address) {
            return Ok(Arc::clone(place));
        }
        let place = place::open(address).map_err(unavailable)?;
        places.insert(address.to_owned(), Arc::clone(&place));
        Ok(place)
    }
}

/// What has moved of some positions.
#[derive(Debug)]
pub struct Stretch {
    archive: Archive,
    entries: Vec<Arc<Entry>>,
    after: Position,
    end: Position,
}

impl Stretch {
    /// The positions, in order. They are known without opening a segment.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        let entries = self.entries.iter();
        entries.flat_map(|entry| entry.moved.between(self.after, self.end))
    }

    /// The events up to `through`, in order.
    pub async fn events(&self, through: Position) -> Result<Vec<Recorded>, ReadError> {
        let end = self.end.min(through);
        let mut events = Vec::new();
        for entry in &self.entries {
            if entry.moved.between(self.after, end).next().is_none() {
                continue;
            }
            let segment = self.archive.open(entry).await?;
            let place = |position| segment.events.partition_point(|it| it.position <= position);
            events.extend_from_slice(&segment.events[place(self.after)..place(end)]);
        }
        Ok(events)
    }
}
