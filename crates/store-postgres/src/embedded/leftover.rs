//! What an owner that was killed may have left: a Postgres that still runs, or the pid file of one that does not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::binaries::Binaries;
use super::place::Place;
use super::{EmbeddedError, doing, user};

/// A guard that has just lost its owner needs a moment to stop Postgres by itself.
const STOPS_BY_ITSELF_WITHIN: Duration = Duration::from_secs(2);

/// Makes sure that nothing runs in the cluster's folder and that no pid file stands in the way.
pub(super) async fn stop(binaries: &Binaries, place: &Place) -> Result<(), EmbeddedError> {
    let deadline = Instant::now() + STOPS_BY_ITSELF_WITHIN;
    while let Some(pid) = recorded_pid(place) {
        if !is_postgres_of(pid, &place.data()) {
            let file = pid_file(place);
            // The number may belong to another process by now, which would make Postgres refuse to start.
            return fs::remove_file(&file)
                .or_else(gone)
                .map_err(doing(format!("removing {}", file.display())));
        }
        if Instant::now() > deadline {
            tracing::warn!(pid, "stopping a Postgres that an earlier owner left behind");
            let mut pg_ctl = place.user().command(&binaries.path("pg_ctl"));
            pg_ctl
                .args(["stop", "--mode=fast", "--timeout=60", "--pgdata"])
                .arg(place.data());
            return user::run(&mut pg_ctl);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn gone(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

fn pid_file(place: &Place) -> std::path::PathBuf {
    place.data().join("postmaster.pid")
}

/// The first line of the postmaster's pid file.
pub(super) fn recorded_pid(place: &Place) -> Option<i32> {
    let text = fs::read_to_string(pid_file(place)).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Whether process `pid` is a postmaster of the cluster in `data`.
fn is_postgres_of(pid: i32, data: &Path) -> bool {
    // A postmaster works in its data directory.
    if let Ok(folder) = fs::read_link(format!("/proc/{pid}/cwd")) {
        return fs::canonicalize(data).is_ok_and(|data| data == folder);
    }
    if Path::new("/proc/self").exists() {
        return false;
    }
    let listed = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .output();
    listed.is_ok_and(|ps| String::from_utf8_lossy(&ps.stdout).contains(&*data.to_string_lossy()))
}
