//! A crowd that only listens: how much memory a connected device costs the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::process::resident;
use crate::servers::Servers;
use crate::socket::{Event, Socket};

/// Sockets that are being opened at a time.
const AT_ONCE: usize = 64;

/// Between two signs of life of a socket.
const PING: Duration = Duration::from_secs(45);

/// What an idle crowd has shown.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport {
    /// Sockets that were open at once.
    pub sockets: usize,
    /// Seconds for which they were held.
    pub seconds: f64,
    /// Sockets that the server closed meanwhile.
    pub closed: usize,
    /// The servers' memory before, in KiB (their resident sets), if their processes were named.
    pub before_kib: Option<u64>,
    /// And with all of them open.
    pub with_kib: Option<u64>,
    /// And when they had been held.
    pub after_kib: Option<u64>,
    /// KiB for each socket, by the larger of the two.
    pub kib_per_socket: Option<f64>,
}

/// Opens a socket for each account and holds it.
pub async fn run(
    servers: Servers,
    fleet: &Fleet,
    time: Duration,
    pids: &[u32],
) -> anyhow::Result<IdleReport> {
    let memory = || (!pids.is_empty()).then(|| resident(pids)).transpose();
    let before = memory()?;
    let servers = Arc::new(servers);
    let opened = futures::stream::iter(fleet.accounts.iter().enumerate())
        .map(|(n, account)| {
            let servers = Arc::clone(&servers);
            async move {
                let mut socket = Socket::open(&servers, n, account)
                    .await
                    .with_context(|| format!("socket {n}"))?;
                // The server has looked into its inbox by then: it is as idle as it will be.
                while !matches!(socket.next().await, Event::QueueEmpty) {}
                anyhow::Ok(socket)
            }
        })
        .buffer_unordered(AT_ONCE);
    let sockets: Vec<Socket> = opened.try_collect().await?;
    let count = sockets.len();
    let with = memory()?;
    let end = CancellationToken::new();
    let mut crowd = JoinSet::new();
    for (n, socket) in sockets.into_iter().enumerate() {
        crowd.spawn(hold(socket, n, end.clone()));
    }
    sleep(time).await;
    let after = memory()?;
    end.cancel();
    let closed = crowd.join_all().await.into_iter().filter(|held| !held);
    Ok(IdleReport {
        sockets: count,
        seconds: time.as_secs_f64(),
        closed: closed.count(),
        before_kib: before,
        with_kib: with,
        after_kib: after,
        kib_per_socket: per_socket(before, with.max(after), count),
    })
}

/// Holds a socket; tells whether it was open to the end.
async fn hold(mut socket: Socket, n: usize, end: CancellationToken) -> bool {
    // Spread, so that the crowd does not speak in chorus.
    let spread = Duration::from_millis(u64::try_from(n % 45_000).unwrap_or_default());
    let mut ping = Instant::now() + spread;
    loop {
        tokio::select! {
            () = end.cancelled() => return true,
            event = socket.next() => match event {
                Event::Closed(_) => return false,
                Event::Message(id, _) => if socket.acknowledge(id).await.is_err() {
                    return false;
                },
                Event::QueueEmpty | Event::Answer(..) | Event::Pong => {}
            },
            () = sleep_until(ping) => {
                ping += PING;
                if socket.ping().await.is_err() {
                    return false;
                }
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no machine has 2^52 KiB or sockets"
)]
fn per_socket(before: Option<u64>, with: Option<u64>, count: usize) -> Option<f64> {
    let more = with?.saturating_sub(before?);
    (count > 0).then(|| more as f64 / count as f64)
}

impl fmt::Display for IdleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} sockets were open at once and held for {} s; the server closed {}",
            self.sockets, self.seconds, self.closed
        )?;
        if let (Some(before), Some(with), Some(after), Some(each)) = (
            self.before_kib,
            self.with_kib,
            self.after_kib,
            self.kib_per_socket,
        ) {
            writeln!(
                f,
                "the server's memory: {before} KiB before, {with} KiB with them, {after} KiB in the end: {each:.1} KiB each"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_out() {
        assert_eq!(per_socket(Some(1000), None, 100), None);
        assert_eq!(per_socket(Some(1000), Some(3000), 100), Some(20.0));
    }
}
