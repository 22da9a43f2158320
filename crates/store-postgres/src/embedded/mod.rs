//! A private Postgres for `dev` and for tests: found on the machine, started for one owner, stopped when the owner ends.
//!
//! The cluster listens on a free port of 127.0.0.1 and on a socket in its folder, and asks for a random password (scram-sha-256) that stands in a
//! file of the unprivileged user, so that other users of the machine stay out. A small `sh` script ([`guard`]) is the
//! parent of Postgres: it reads from a pipe whose other end the owner holds, so Postgres stops when the owner stops,
//! panics or is killed with SIGKILL, and it starts Postgres again should that one be killed.

mod binaries;
#[cfg(feature = "download")]
mod download;
mod guard;
mod leftover;
mod place;
mod user;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep};
use url::Url;

pub use binaries::Binaries;
use guard::Guard;
use place::Place;

/// The superuser of a private cluster.
const ROLE: &str = "heliograph";

/// How long a cluster may take to answer: recovery after a crash replays the write-ahead log first.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// What stands in the way of a start may be gone a moment later ([`is_passing`]); each attempt comes after a pause.
const START_ATTEMPTS: usize = 20;

/// Whether what Postgres complains of passes by itself.
///
/// Another process may take the port between our look and Postgres' own, and the sessions of a killed postmaster may
/// hold its shared memory for a moment: something is "in use". Or the guard of an owner that has just been killed was
/// starting Postgres again at that very moment: a pid file "already exists", until that guard notices.
fn is_passing(complaint: &str) -> bool {
    complaint.contains("in use") || complaint.contains("already exists")
}

/// How to run a private cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it lives. Made on first use, reused after.
    pub directory: PathBuf,
    /// Whether a commit waits for the disk. Only for tests may this be `false`: a crash of the machine then loses data.
    pub fsync: bool,
    /// How many connections Postgres takes.
    pub max_connections: u16,
}

impl Options {
    /// A durable cluster in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            fsync: true,
            max_connections: 100,
        }
    }
}

/// Why a private cluster could not be run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL server found on the PATH, by pg_config, or in the usual places; \
         install it with `apt-get update` and `apt-get install -y postgresql`, or set DATABASE_URL to a running one"
    )]
    NotInstalled,
    #[error(
        "Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as"
    )]
    NoUnprivilegedUser,
    #[error("another process runs the private Postgres in {}", .0.display())]
    InUse(PathBuf),
    #[error("{} belongs to user id {owner}, not to {expected}: remove it or choose another directory", .path.display())]
    ForeignDirectory {
        path: PathBuf,
        owner: u32,
        expected: u32,
    },
    #[error("{action} failed: {source}")]
    Io { action: String, source: io::Error },
    #[error("{command} failed:\n{output}")]
    Command { command: String, output: String },
    #[error("Postgres did not become ready; the end of {}:\n{tail}", .log.display())]
    NotReady { log: PathBuf, tail: String },
    #[cfg(feature = "download")]
    #[error("downloading PostgreSQL failed")]
    Download(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Adds what was being done to an I/O error.
fn doing(action: impl Into<String>) -> impl FnOnce(io::Error) -> EmbeddedError {
    |source| EmbeddedError::Io {
        action: action.into(),
        source,
    }
}

/// A running private cluster. Dropping it stops Postgres soon after; [`Cluster::stop`] also waits for that.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    connect: PgConnectOptions,
    guard: Guard,
    /// Held as long as this process owns the directory.
    _lock: File,
}

impl Cluster {
    /// Starts the cluster of `options.directory`; makes it first where there is none.
    ///
    /// What an owner that was killed left behind (a stale pid file, a Postgres that still runs) is cleared away.
    pub async fn start(options: &Options) -> Result<Self, EmbeddedError> {
        Self::start_held_by(options, || Ok(Stdio::piped())).await
    }

    /// Like [`Self::start`], but Postgres runs until the standard input that `lifeline` gives it has ended, whatever
    /// becomes of this process. Called once an attempt to start.
    pub async fn start_held_by(
        options: &Options,
        mut lifeline: impl FnMut() -> io::Result<Stdio>,
    ) -> Result<Self, EmbeddedError> {
        let place = Place::prepare(&options.directory)?;
        let lock = lock(&place)?;
        let binaries = binaries(&place).await?;
        leftover::stop(&binaries, &place).await?;
        let password = if place.is_initialised() {
            place.password()?
        } else {
            initialise(&binaries, &place)?
        };
        let (guard, port) = launch(&binaries, &place, options, &password, &mut lifeline).await?;
        Ok(Self {
            connect: connect_options(port, &password),
            place,
            guard,
            _lock: lock,
        })
    }

    /// How to connect as the cluster's superuser, to the database `postgres` unless another is chosen.
    pub fn connect_options(&self) -> &PgConnectOptions {
        &self.connect
    }

    /// The address of a database of this cluster as every Postgres client reads it, password included: a secret.
    pub fn url(&self, database: &str) -> String {
        self.address(database).into()
    }

    /// The address for processes that can reach the cluster's folder: by its socket, which costs both sides less than TCP.
    /// A secret as well.
    pub fn socket_url(&self, database: &str) -> String {
        let mut url = self.address(database);
        if let Some(folder) = self.place.socket_folder() {
            url.query_pairs_mut().append_pair("host", folder);
        }
        url.into()
    }

    /// Without the settings of our own client.
    fn address(&self, database: &str) -> Url {
        let mut url = self.connect.clone().database(database).to_url_lossy();
        url.set_query(None);
        url
    }

    /// Where the cluster lives; differs from the directory asked for where the unprivileged user cannot reach that one.
    pub fn directory(&self) -> &Path {
        self.place.directory()
    }

    /// The process id of the postmaster, from its pid file.
    pub fn postmaster(&self) -> Option<i32> {
        leftover::recorded_pid(&self.place)
    }

    /// Stops Postgres (fast shutdown: sessions are cut, the checkpoint is written) and waits until it is gone.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        self.guard.stop().await
    }
}

/// Where a cluster that is asked for in `directory` lives. Not the same where the unprivileged user cannot reach it.
pub fn location(directory: &Path) -> Result<PathBuf, EmbeddedError> {
    Ok(Place::prepare(directory)?.directory().to_path_buf())
}

#[cfg(not(feature = "download"))]
fn binaries(_: &Place) -> std::future::Ready<Result<Binaries, EmbeddedError>> {
    std::future::ready(Binaries::find().ok_or(EmbeddedError::NotInstalled))
}

#[cfg(feature = "download")]
async fn binaries(place: &Place) -> Result<Binaries, EmbeddedError> {
    match Binaries::find() {
        Some(binaries) => Ok(binaries),
        None => download::binaries(place).await,
    }
}

fn lock(place: &Place) -> Result<File, EmbeddedError> {
    let path = place.lock_file();
    let file = File::create(&path).map_err(doing(format!("opening {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse(place.directory().to_path_buf())),
        Err(TryLockError::Error(e)) => Err(doing(format!("locking {}", path.display()))(e)),
    }
}

/// Makes the cluster under a name that only a finished `initdb` gives up; returns the superuser's password.
fn initialise(binaries: &Binaries, place: &Place) -> Result<String, EmbeddedError> {
    let password = random_password()?;
    place.write_password(&password)?;
    let unfinished = place.directory().join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .map_err(doing(format!("removing {}", unfinished.display())))?;
    }
    let mut initdb = place.user().command(&binaries.path("initdb"));
    initdb
        .args([
            "--username",
            ROLE,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ])
        .args(["--locale=C", "--no-instructions", "--no-sync", "--pwfile"])
        .arg(place.password_file())
        .arg("--pgdata")
        .arg(&unfinished);
    user::run(&mut initdb)?;
    fs::rename(&unfinished, place.data())
        .map_err(doing(format!("renaming {}", unfinished.display())))?;
    Ok(password)
}

/// 256 bits from the system. Not from `Entropy`: this secret opens a door of this machine, it is no part of the domain.
fn random_password() -> Result<String, EmbeddedError> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(doing("reading /dev/urandom"))?;
    Ok(hex::encode(bytes))
}

async fn launch(
    binaries: &Binaries,
    place: &Place,
    options: &Options,
    password: &str,
    lifeline: &mut impl FnMut() -> io::Result<Stdio>,
) -> Result<(Guard, u16), EmbeddedError> {
    place.clear_sockets()?;
    let mut attempt = 1;
    loop {
        let port = free_port()?;
        let stdin = lifeline().map_err(doing("making the lifeline of Postgres"))?;
        let mut guard = Guard::spawn(binaries, place, options, port, stdin)?;
        match ready(&mut guard, place, &connect_options(port, password)).await {
            Ok(()) => return Ok((guard, port)),
            Err(e) if attempt == START_ATTEMPTS || !is_passing(&place.log_tail()) => return Err(e),
            Err(_) => attempt += 1,
        }
        sleep(Duration::from_millis(300)).await;
        leftover::stop(binaries, place).await?;
    }
}

/// Waits for the first connection that succeeds.
async fn ready(
    guard: &mut Guard,
    place: &Place,
    connect: &PgConnectOptions,
) -> Result<(), EmbeddedError> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(connection) = connect.connect().await {
            drop(connection);
            return guard.mark_ready();
        }
        if guard.has_ended()? || Instant::now() > deadline {
            return Err(EmbeddedError::NotReady {
                log: place.log_file(),
                tail: place.log_tail(),
            });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> Result<u16, EmbeddedError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing("finding a port"))?;
    let address = listener.local_addr().map_err(doing("finding a port"))?;
    Ok(address.port())
}

fn connect_options(port: u16, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(ROLE)
        .password(password)
        .database("postgres")
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}
