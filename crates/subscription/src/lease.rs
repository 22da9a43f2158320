//! Who may write a projection: a lock of the very session that writes, which therefore dies with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::{Mutex, MutexGuard};

use crate::projection::Projection;

/// The first half of the advisory locks' numbers; the second is that of the projection. "Heli" in ASCII.
pub(crate) const LOCK_CLASS: i32 = 0x4865_6c69;

/// The second half of the lock's number: FNV-1a of name and version, without the sign.
pub(crate) fn lock_number(name: &str, version: i32) -> i32 {
    let key = format!("{name}_v{version}");
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i32::try_from(hash >> 1).expect("31 bits fit")
}

fn number(projection: &dyn Projection) -> i32 {
    lock_number(projection.name(), crate::bookkeeping::version(projection))
}

/// Takes the lease for this session, if nobody has it; tells whether it did.
pub(crate) async fn take(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
        .bind(LOCK_CLASS)
        .bind(number(projection))
        .fetch_one(connection)
        .await
}

/// Ends the session that has the lease, if it has said and done nothing for so long: its process was stopped, or its
/// machine is gone, and nobody has told Postgres. Should it wake up, it finds that its session is over.
///
/// A session that works, or waits inside Postgres, is left alone, however long that takes.
pub(crate) async fn end_stalled(
    connection: &mut PgConnection,
    projection: &dyn Projection,
    stalled: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(bool_or(pg_terminate_backend(holder.pid)), false)
         FROM pg_locks holder JOIN pg_stat_activity session USING (pid)
         WHERE holder.locktype = 'advisory' AND holder.granted
           AND holder.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND holder.classid = $1::oid AND holder.objid = $2::oid AND holder.objsubid = 2
           AND session.state LIKE 'idle%' AND session.state_change < now() - make_interval(secs => $3)",
    )
    .bind(LOCK_CLASS)
    .bind(number(projection))
    .bind(stalled.as_secs_f64())
    .fetch_one(connection)
    .await
}

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
