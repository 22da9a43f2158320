//! Leases that a process holds: each is a lock of the very session that writes a projection, and dies with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// How many leases a process holds, and whose turn it is to ask for another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<State>);

#[derive(Debug, Default)]
struct State {
    count: AtomicU32,
    turn: Mutex<()>,
}

impl Held {
    /// Waits for this worker's turn to ask, and then for a while that grows with what the process holds already: so a
    /// node that has fewer comes first, and leases spread over nodes that look for some at the same time.
    pub(crate) async fn turn(&self, courtesy: Duration) -> MutexGuard<'_, ()> {
        let turn = self.0.turn.lock().await;
        tokio::time::sleep(courtesy * self.0.count.load(Ordering::Relaxed)).await;
        turn
    }

    /// Counts one more, until the guard is dropped.
    pub(crate) fn one_more(&self) -> HeldLease {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        HeldLease(self.clone())
    }
}

/// One lease that is held.
#[derive(Debug)]
pub(crate) struct HeldLease(Held);

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.0.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}
