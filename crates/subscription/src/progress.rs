//! How far each projection has come, as this process knows it, and waiting for it to come further.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::Position;
use tokio::sync::{Notify, watch};

/// How far each projection has come. Cheap to clone; all clones are one.
///
/// Workers of this process write here the moment they commit; what other nodes did comes in through
/// `NOTIFY projection_progress`, and both are only ever a little behind the checkpoints in the database.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Board>);

#[derive(Debug)]
struct Board {
    known: BTreeMap<&'static str, Known>,
    news: Notify,
}

#[derive(Debug)]
struct Known {
    version: u32,
    at: watch::Sender<Position>,
    /// How far workers of this process brought it.
    here: AtomicU64,
}

impl Progress {
    /// Knows the projections of these names and versions, and of none how far it is.
    pub fn new(projections: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        let known = |(name, version)| {
            let at = watch::Sender::new(Position::START);
            let here = AtomicU64::default();
            (name, Known { version, at, here })
        };
        let known = projections.into_iter().map(known).collect();
        Self(Arc::new(Board {
            known,
            news: Notify::new(),
        }))
    }

    /// The names and versions of the projections that are known.
    pub(crate) fn projections(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let known = self.0.known.iter();
        known.map(|(name, known)| (*name, known.version))
    }

    /// Notes that a projection has come as far as `position`. It never goes back here, even if a rebuild begins anew:
    /// what was once readable stays readable.
    pub fn advance(&self, name: &str, position: Position) {
        if let Some(known) = self.0.known.get(name) {
            known.at.send_if_modified(|at| {
                let further = position > *at;
                *at = position.max(*at);
                further
            });
        }
    }

    /// Notes the same of a worker of this process: other nodes are to hear of it.
    pub(crate) fn advance_here(&self, name: &str, position: Position) {
        self.advance(name, position);
        if let Some(known) = self.0.known.get(name)
            && known.here.fetch_max(position.0, Ordering::Relaxed) < position.0
        {
            self.0.news.notify_one();
        }
    }

    /// Waits until [`Self::advance_here`] has noted something new.
    pub(crate) async fn news(&self) {
        self.0.news.notified().await;
    }

    /// How far workers of this process have brought a projection.
    pub(crate) fn here(&self, name: &str) -> Position {
        let known = self.0.known.get(name);
        Position(known.map_or(0, |known| known.here.load(Ordering::Relaxed)))
    }

    /// How far a projection is known to be.
    pub fn of(&self, name: &str) -> Position {
        self.0
            .known
            .get(name)
            .map_or(Position::START, |known| *known.at.borrow())
    }

    /// Waits until all of `names` have come as far as `position`; tells whether they did `within` the time.
    pub async fn reached(&self, names: &[&str], position: Position, within: Duration) -> bool {
        let all = async {
            for name in names {
                let Some(known) = self.0.known.get(name) else {
                    return false;
                };
                let mut at = known.at.subscribe();
                if at.wait_for(|at| *at >= position).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(within, all).await.unwrap_or(false)
    }
}
