//! Stretches of the log, decoded, with their personal values opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::codec::Fact;
use events::personal::{KeyId, KeysUnavailable, SubjectKey, SubjectKeys};
use events::{Batch, EventStore, Family, Position, ReadError};
use tokio::time::Instant;

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
const KEPT_AT_MOST: usize = 20_000;

/// Keys that were found. A plain map: it is looked into for every event with personal values, and a cache that knows the age of
/// each entry took 7 % of a rebuild.
struct Known {
    keys: HashMap<KeyId, SubjectKey>,
    at_most: usize,
    /// Since when it holds the eldest of them.
    since: Instant,
}

impl Known {
    /// Forgets all of them when the eldest is too old, or when they are too many.
    fn forget(&mut self) {
        if self.keys.len() >= self.at_most || self.since.elapsed() >= KEPT {
            self.keys.clear();
        }
        if self.keys.is_empty() {
            self.since = Instant::now();
        }
    }
}

/// Reads the log and decodes it. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn EventStore>,
    keys: Arc<dyn SubjectKeys>,
    known: Arc<Mutex<Known>>,
}

impl Reader {
    /// Reads `store` and opens personal values with `keys`.
    pub fn new(store: Arc<dyn EventStore>, keys: Arc<dyn SubjectKeys>) -> Self {
        Self::keeping(KEPT_AT_MOST, store, keys)
    }

    /// The same for long stretches of the log, in which many more subjects come up again and again: keeps so many keys at
    /// the most, each about 100 bytes.
    pub fn keeping(at_most: usize, store: Arc<dyn EventStore>, keys: Arc<dyn SubjectKeys>) -> Self {
        let known = Known {
            keys: HashMap::new(),
            at_most,
            since: Instant::now(),
        };
        Self {
            store,
            keys,
            known: Arc::new(Mutex::new(known)),
        }
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
        // Large as they are, they stay where they were first put.
        let mut facts: Vec<Arc<Fact>> = Vec::with_capacity(batch.events.len());
        let mut stretch = Stretch {
            after,
            through: batch.through,
            ..Stretch::default()
        };
        for event in &batch.events {
            stretch.bytes += event.data.len() + event.metadata.len();
            match Fact::decode(event) {
                Ok(fact) => facts.push(Arc::new(fact)),
                Err(error) => stretch.unreadable.push(Unreadable {
                    position: event.position,
                    family: event.stream.family(),
                    what: error.to_string(),
                }),
            }
        }
        let keys = self.keys_of(&mut facts).await?;
        facts.retain_mut(|fact| match own(fact).open(&keys) {
            Ok(()) => true,
            Err(error) => {
                stretch.unreadable.push(Unreadable {
                    position: fact.position,
                    family: fact.stream.family(),
                    what: error.to_string(),
                });
                false
            }
        });
        stretch.facts = facts;
        stretch.unreadable.sort_by_key(|it| it.position);
        Ok(stretch)
    }

    /// Those keys that still exist, of all that the facts need.
    async fn keys_of(
        &self,
        facts: &mut [Arc<Fact>],
    ) -> Result<HashMap<KeyId, SubjectKey>, KeysUnavailable> {
        let mut needed = Vec::new();
        for fact in facts {
            own(fact).needs_keys(&mut needed);
        }
        needed.sort_unstable();
        needed.dedup();
        let mut keys = HashMap::with_capacity(needed.len());
        {
            let mut known = self.known();
            known.forget();
            needed.retain(|id| match known.keys.get(id) {
                Some(key) => {
                    keys.insert(*id, key.clone());
                    false
                }
                None => true,
            });
        }
        if !needed.is_empty() {
            let found = self.keys.find(&needed).await?;
            let mut known = self.known();
            known
                .keys
                .extend(found.iter().map(|(id, key)| (*id, key.clone())));
            keys.extend(found);
        }
        Ok(keys)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A map that somebody left in the middle of an insertion is still one of keys and their names.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fact that nobody else has seen yet.
fn own(fact: &mut Arc<Fact>) -> &mut Fact {
    Arc::get_mut(fact).expect("it was made a moment ago")
}
