//! Recently used states, so that a decision reads the tail of a stream and not all of it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use events::{Revision, StreamId};

/// The most states that are kept. An account with six devices takes about 2 KiB, the pre-keys of a device about 1 KiB.
const CAPACITY: u64 = 50_000;
/// States that nobody has used for so long are dropped: they may hold personal values.
const IDLE: Duration = Duration::from_mins(30);

/// The state of some stream. Its type follows from the stream's family.
pub(crate) type State = Arc<dyn Any + Send + Sync>;

/// States and the revisions that they stand at. Whoever uses one reads the rest of the stream first, or lets the append
/// find out whether there is any, so an entry that is behind costs time and nothing else.
pub(crate) struct Cache(moka::future::Cache<StreamId, (State, Revision)>);

impl Default for Cache {
    fn default() -> Self {
        let builder = moka::future::Cache::builder();
        Self(builder.max_capacity(CAPACITY).time_to_idle(IDLE).build())
    }
}

impl Cache {
    pub(crate) async fn get(&self, stream: &StreamId) -> Option<(State, Revision)> {
        self.0.get(stream).await
    }

    pub(crate) async fn put(&self, stream: StreamId, state: State, revision: Revision) {
        self.0.insert(stream, (state, revision)).await;
    }

    pub(crate) async fn forget(&self, stream: &StreamId) {
        self.0.invalidate(stream).await;
    }
}
