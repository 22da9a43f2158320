//! The parent process of a private Postgres.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::binaries::Binaries;
use super::place::Place;
use super::{EmbeddedError, Options, doing};

const SCRIPT: &str = include_str!("guard.sh");

/// A running guard. Dropping it closes the pipe, upon which it stops Postgres and ends.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    ready_marker: PathBuf,
}

impl Guard {
    /// Starts Postgres under a guard that lives as long as `lifeline` has no end.
    pub(super) fn spawn(
        binaries: &Binaries,
        place: &Place,
        options: &Options,
        port: u16,
        lifeline: Stdio,
    ) -> Result<Self, EmbeddedError> {
        let ready_marker = place.ready_marker();
        if ready_marker.exists() {
            fs::remove_file(&ready_marker)
                .map_err(doing(format!("removing {}", ready_marker.display())))?;
        }
        let log_path = place.log_file();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(doing(format!("opening {}", log_path.display())))?;
        let log_too = log.try_clone().map_err(doing("sharing the log file"))?;
        let script = place.directory().join("guard.sh");
        fs::write(&script, SCRIPT).map_err(doing(format!("writing {}", script.display())))?;
        let mut command = place.user().command(Path::new("/bin/sh"));
        command
            .arg(&script)
            .arg(&ready_marker)
            .arg(binaries.path("postgres"))
            .arg("-D")
            .arg(place.data())
            .args(settings(options, place, port))
            .stdin(lifeline)
            .stdout(log)
            .stderr(log_too)
            // Ctrl-C in a terminal goes to the owner, which stops in its own order.
            .process_group(0);
        let child = command.spawn().map_err(doing("starting /bin/sh"))?;
        Ok(Self {
            child,
            ready_marker,
        })
    }

    /// From now on the guard starts Postgres again if it dies.
    pub(super) fn mark_ready(&self) -> Result<(), EmbeddedError> {
        fs::write(&self.ready_marker, "")
            .map_err(doing(format!("writing {}", self.ready_marker.display())))
    }

    pub(super) fn has_ended(&mut self) -> Result<bool, EmbeddedError> {
        let status = self
            .child
            .try_wait()
            .map_err(doing("looking after Postgres"))?;
        Ok(status.is_some())
    }

    /// Closes the pipe and waits until Postgres and the guard are gone.
    pub(super) async fn stop(mut self) -> Result<(), EmbeddedError> {
        drop(self.child.stdin.take());
        tokio::task::spawn_blocking(move || self.child.wait())
            .await
            .expect("waiting for a process does not panic")
            .map_err(doing("waiting for Postgres"))?;
        Ok(())
    }
}

fn settings(options: &Options, place: &Place, port: u16) -> Vec<String> {
    let sockets = place.socket_folder().unwrap_or_default();
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={sockets}"),
        format!("max_connections={}", options.max_connections),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if !options.fsync {
        settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
    }
    settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}
