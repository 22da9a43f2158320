//! Stretches of the log, decoded, with their personal values opened.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use events::codec::Fact;
use events::personal::{KeyId, KeysUnavailable, SubjectKey, SubjectKeys};
use events::{Batch, EventStore, Family, Position, ReadError};
use moka::future::Cache;

/// A stretch of the log.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// It begins behind this position.
    pub after: Position,
    /// It ends with this one.
    pub through: Position,
    /// Its events, in order.
    pub facts: Vec<Arc<Fact>>,
    /// Those of its events that this version cannot read, in order.
    pub unreadable: Vec<Unreadable>,
    /// The bytes of stored data that were decoded.
    pub bytes: usize,
}

/// An event that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its place.
    pub position: Position,
    /// Who cares.
    pub family: Family,
    /// What is wrong with it.
    pub what: String,
}

/// Why nothing could be read. Trying again may help, unless the log is damaged.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The keys to personal values.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
}

/// Keys are kept this long. It bounds how long a destroyed key may still open something in this process.
const KEPT: Duration = Duration::from_mins(1);
const KEPT_AT_MOST: u64 = 20_000;

/// Reads the log and decodes it. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn EventStore>,
    keys: Arc<dyn SubjectKeys>,
    known: Cache<KeyId, SubjectKey>,
}

impl Reader {
    /// Reads `store` and opens personal values with `keys`.
    pub fn new(store: Arc<dyn EventStore>, keys: Arc<dyn SubjectKeys>) -> Self {
        Self::keeping(KEPT_AT_MOST, store, keys)
    }

    /// The same for long stretches of the log, in which many more subjects come up again and again: keeps so many keys at
    /// the most, each about 200 bytes.
    pub fn keeping(at_most: u64, store: Arc<dyn EventStore>, keys: Arc<dyn SubjectKeys>) -> Self {
        let known = Cache::builder()
            .max_capacity(at_most)
            .time_to_live(KEPT)
            .build();
        Self { store, keys, known }
    }

    /// The log that is read.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The next at most `limit` events of `families` after `after`.
    pub async fn read(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Stretch, FeedError> {
        let batch = self.store.read_all(after, families, limit).await?;
        self.decode(after, &batch).await
    }

    /// Decodes what was read after `after`.
    pub async fn decode(&self, after: Position, batch: &Batch) -> Result<Stretch, FeedError> {
        let mut facts = Vec::with_capacity(batch.events.len());
        let mut stretch = Stretch {
            after,
            through: batch.through,
            ..Stretch::default()
        };
        for event in &batch.events {
            stretch.bytes += event.data.len() + event.metadata.len();
            match Fact::decode(event) {
                Ok(fact) => facts.push(fact),
                Err(error) => stretch.unreadable.push(Unreadable {
                    position: event.position,
                    family: event.stream.family(),
                    what: error.to_string(),
                }),
            }
        }
        let keys = self.keys_of(&mut facts).await?;
        for mut fact in facts {
            match fact.open(&keys) {
                Ok(()) => stretch.facts.push(Arc::new(fact)),
                Err(error) => stretch.unreadable.push(Unreadable {
                    position: fact.position,
                    family: fact.stream.family(),
                    what: error.to_string(),
                }),
            }
        }
        stretch.unreadable.sort_by_key(|it| it.position);
        Ok(stretch)
    }

    /// Those keys that still exist, of all that the facts need.
    async fn keys_of(
        &self,
        facts: &mut [Fact],
    ) -> Result<HashMap<KeyId, SubjectKey>, KeysUnavailable> {
        let mut needed = Vec::new();
        for fact in facts {
            fact.needs_keys(&mut needed);
        }
        let needed: HashSet<_> = needed.into_iter().collect();
        let mut keys = HashMap::with_capacity(needed.len());
        let mut missing = Vec::new();
        for id in needed {
            match self.known.get(&id).await {
                Some(key) => _ = keys.insert(id, key),
                None => missing.push(id),
            }
        }
        if !missing.is_empty() {
            for (id, key) in self.keys.find(&missing).await? {
                self.known.insert(id, key.clone()).await;
                keys.insert(id, key);
            }
        }
        Ok(keys)
    }
}
