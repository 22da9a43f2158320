//! Stretches of the log, decoded, with their personal values opened.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use events::codec::Fact;
use events::personal::{KeyId, KeysUnavailable, SubjectKey, SubjectKeys};
use events::{Batch, EventStore, Family, Position, ReadError};
use tokio::time::Instant;

use crate::projection::Need;

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
    /// Whether the eldest is too old, or they are too many.
    fn is_stale(&self) -> bool {
        let old = !self.keys.is_empty() && self.since.elapsed() >= KEPT;
        old || self.keys.len() >= self.at_most
    }

    /// Remembers keys that were found.
    fn extend(&mut self, found: &HashMap<KeyId, SubjectKey>) {
        if self.keys.is_empty() {
            self.since = Instant::now();
        }
        let found = found.iter().map(|(id, key)| (*id, key.clone()));
        self.keys.extend(found);
    }
}

/// Reads the log and decodes it. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn EventStore>,
    keys: Arc<dyn SubjectKeys>,
    known: Arc<RwLock<Known>>,
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
            known: Arc::new(RwLock::new(known)),
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

    /// Decodes what was read after `after`, all of it.
    pub async fn decode(&self, after: Position, batch: &Batch) -> Result<Stretch, FeedError> {
        self.decode_for(after, batch, &|_, _| Need::Clear).await
    }

    /// Decodes what was read after `after`, as far as it is needed: for each family and stored name of a kind, `need` tells.
    pub async fn decode_for(
        &self,
        after: Position,
        batch: &Batch,
        need: &(impl Fn(Family, &str) -> Need + Sync),
    ) -> Result<Stretch, FeedError> {
        let mut stretch = Stretch {
            after,
            through: batch.through,
            facts: Vec::with_capacity(batch.events.len()),
            ..Stretch::default()
        };
        let sealed = self.open_known(&mut stretch, batch, need);
        if !sealed.facts.is_empty() {
            let found = self.keys.find(&sealed.keys).await?;
            open_found(&mut stretch, sealed.facts, &found);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.extend(&found);
        }
        Ok(stretch)
    }

    /// Decodes events, and opens what can be opened with the keys that are known.
    fn open_known(
        &self,
        stretch: &mut Stretch,
        batch: &Batch,
        need: impl Fn(Family, &str) -> Need,
    ) -> StillSealed {
        let known = self.known();
        let mut sealed = StillSealed::default();
        for event in &batch.events {
            let need = need(event.stream.family(), &event.type_name);
            if need == Need::Nothing {
                continue;
            }
            stretch.bytes += event.data.len() + event.metadata.len();
            let keys_before = sealed.keys.len();
            let decoded = Fact::decode(event).and_then(|mut fact| {
                if need == Need::Clear {
                    fact.open_known(&known.keys, &mut sealed.keys)?;
                }
                // Large as it is, it stays where it is put now.
                Ok(Arc::new(fact))
            });
            match decoded {
                Ok(fact) => {
                    if sealed.keys.len() > keys_before {
                        sealed.facts.push(stretch.facts.len());
                    }
                    stretch.facts.push(fact);
                }
                Err(error) => stretch.unreadable.push(Unreadable {
                    position: event.position,
                    family: event.stream.family(),
                    what: error.to_string(),
                }),
            }
        }
        sealed.keys.sort_unstable();
        sealed.keys.dedup();
        sealed
    }

    /// The keys that are known and may still be used.
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        // A map that somebody left in the middle of an insertion is still one of keys and their names.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if !known.is_stale() {
            return known;
        }
        drop(known);
        let mut stale = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been here before.
        if stale.is_stale() {
            stale.keys.clear();
        }
        drop(stale);
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What could not be opened with the keys that were known.
#[derive(Default)]
struct StillSealed {
    /// Which of the stretch's facts, in order.
    facts: Vec<usize>,
    /// Which keys they need.
    keys: Vec<KeyId>,
}

/// Opens the facts at these places with keys that were found for them.
fn open_found(stretch: &mut Stretch, places: Vec<usize>, found: &HashMap<KeyId, SubjectKey>) {
    let mut tampered = Vec::new();
    for place in places {
        let fact = Arc::get_mut(&mut stretch.facts[place]).expect("nobody else has seen it yet");
        if let Err(error) = fact.open(found) {
            tampered.push(place);
            stretch.unreadable.push(Unreadable {
                position: fact.position,
                family: fact.stream.family(),
                what: error.to_string(),
            });
        }
    }
    for place in tampered.into_iter().rev() {
        stretch.facts.remove(place);
    }
    stretch.unreadable.sort_by_key(|it| it.position);
}
