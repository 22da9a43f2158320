//! The one Postgres that all tests of a checkout share, over any number of test processes.
//!
//! The first process starts it, under a lock. Every process holds a FIFO open as long as it lives; a small script
//! ([`PRESENCE`]) reads from it, notices when nobody is left, and lets Postgres stop.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, PgPool};
use store_postgres::MIGRATOR;
use store_postgres::embedded::{self, Cluster, EmbeddedError};
use tokio::sync::OnceCell;
use tokio::time::sleep;

const PRESENCE: &str = include_str!("presence.sh");

/// How long Postgres waits for another test process before it stops.
const LINGER_SECONDS: &str = "10";

/// Tests of many processes connect at once.
const MAX_CONNECTIONS: u16 = 300;

/// What this process knows of the shared cluster.
pub(super) struct Shared {
    /// To the database `postgres`.
    pub(super) connect: PgConnectOptions,
    /// The migrated database that test databases are copies of.
    pub(super) template: String,
    /// Tells the presence script that this process lives.
    _presence: File,
}

/// The cluster; started if no process has done so.
pub(super) async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_init(async || {
            join()
                .await
                .unwrap_or_else(|e| panic!("no Postgres for tests: {e}"))
        })
        .await
}

async fn join() -> Result<Shared, Box<dyn std::error::Error>> {
    let place = Place::new()?;
    let lock = File::create(place.file("start.lock"))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    let (connect, presence) = match place.enter().await? {
        Some(presence) => (place.address()?, presence),
        None => place.start().await?,
    };
    remove_remains(&connect).await?;
    let template = template(&connect).await?;
    drop(lock);
    Ok(Shared {
        connect,
        template,
        _presence: presence,
    })
}

/// `target/test-postgres` of this checkout.
struct Place(PathBuf);

impl Place {
    fn new() -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-postgres");
        fs::create_dir_all(&folder)?;
        Ok(Self(fs::canonicalize(folder)?))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The address that the process which started the cluster has left.
    fn address(&self) -> Result<PgConnectOptions, Box<dyn std::error::Error>> {
        Ok(PgConnectOptions::from_str(&fs::read_to_string(
            self.file("address"),
        )?)?)
    }

    /// Shows up at a running cluster; `None` if there is none.
    async fn enter(&self) -> io::Result<Option<File>> {
        loop {
            if let Some(presence) = write_end(&self.file("users"))? {
                return Ok(Some(presence));
            }
            // It may be looking whether somebody is left: then it either comes back or ends.
            if write_end(&self.file("users.closing"))?.is_none() {
                return Ok(None);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn start(&self) -> Result<(PgConnectOptions, File), Box<dyn std::error::Error>> {
        let fifo = self.file("users");
        drop(fs::remove_file(&fifo));
        drop(fs::remove_file(self.file("users.closing")));
        let made = Command::new("mkfifo").arg(&fifo).status()?;
        assert!(made.success(), "mkfifo {} failed", fifo.display());
        // Opening one end waits for the other, so for a moment we are both.
        let both_ends = File::options().read(true).write(true).open(&fifo)?;
        let cluster = self.start_cluster(&fifo).await?;
        let presence = write_end(&fifo)?.ok_or("the FIFO of the shared cluster is gone")?;
        drop(both_ends);
        let mut address = File::options();
        address.write(true).create(true).truncate(true).mode(0o600);
        io::Write::write_all(
            &mut address.open(self.file("address"))?,
            cluster.url("postgres").as_bytes(),
        )?;
        Ok((cluster.connect_options().clone(), presence))
    }

    async fn start_cluster(&self, fifo: &Path) -> Result<Cluster, EmbeddedError> {
        let options = embedded::Options {
            fsync: false,
            max_connections: MAX_CONNECTIONS,
            ..embedded::Options::new(self.file("cluster"))
        };
        let started = Cluster::start_held_by(&options, || presence_script(fifo)).await;
        match started {
            // Without fsync a crash of the machine may leave nonsense. Nobody needs the old files.
            Err(EmbeddedError::NotReady { .. }) => {
                drop(fs::remove_dir_all(embedded::location(&options.directory)?));
                Cluster::start_held_by(&options, || presence_script(fifo)).await
            }
            outcome => outcome,
        }
    }
}

/// Starts the script that watches `fifo`; its output ends when nobody holds `fifo` any more.
fn presence_script(fifo: &Path) -> io::Result<Stdio> {
    let file = fifo.with_file_name("presence.sh");
    fs::write(&file, PRESENCE)?;
    let mut script = Command::new("/bin/sh")
        .arg(file)
        .arg(fifo)
        .arg(LINGER_SECONDS)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let output = script.stdout.take().expect("the output is a pipe");
    Ok(output.into())
}

/// Opens a FIFO for writing, if it is there, somebody reads it, and it still has this name then.
fn write_end(fifo: &Path) -> io::Result<Option<File>> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(nonblocking)
        .open(fifo);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let inode = file.metadata()?.ino();
    Ok(fs::metadata(fifo)
        .is_ok_and(|named| named.ino() == inode)
        .then_some(file))
}

/// Drops the databases of processes that ended without doing so, or did not get to it.
async fn remove_remains(connect: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut admin = PgConnection::connect_with(connect).await?;
    let names: Vec<String> =
        sqlx::query_scalar(r"SELECT datname FROM pg_database WHERE datname LIKE 'test\_%'")
            .fetch_all(&mut admin)
            .await?;
    for name in names.iter().filter(|name| owner(name).is_some_and(is_gone)) {
        sqlx::raw_sql(AssertSqlSafe(drop_statement(name)))
            .execute(&mut admin)
            .await?;
    }
    admin.close().await
}

/// Another process may remove the same remains.
pub(super) fn drop_statement(database: &str) -> String {
    format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")
}

/// The process that a test database (`test_<process>_<number>`) belongs to.
fn owner(database: &str) -> Option<rustix::process::Pid> {
    let process = database.strip_prefix("test_")?.split('_').next()?;
    rustix::process::Pid::from_raw(process.parse().ok()?)
}

fn is_gone(process: rustix::process::Pid) -> bool {
    rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}

/// The database with today's migrations; made if it is not there.
async fn template(connect: &PgConnectOptions) -> Result<String, Box<dyn std::error::Error>> {
    let checksums = MIGRATOR
        .iter()
        .map(|migration| hex::encode(&migration.checksum[..4]));
    let name = template_name(&checksums.collect::<String>());
    let mut admin = PgConnection::connect_with(connect).await?;
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await?;
    if !there {
        let unfinished = format!("{name}_new");
        for sql in [
            format!("DROP DATABASE IF EXISTS {unfinished}"),
            format!("CREATE DATABASE {unfinished}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut admin)
                .await?;
        }
        let fresh = PgPool::connect_with(connect.clone().database(&unfinished)).await?;
        MIGRATOR.run(&fresh).await?;
        fresh.close().await;
        let rename = format!("ALTER DATABASE {unfinished} RENAME TO {name}");
        sqlx::raw_sql(AssertSqlSafe(rename))
            .execute(&mut admin)
            .await?;
    }
    admin.close().await?;
    Ok(name)
}

/// Names end after 63 bytes, so the checksums of many migrations do not fit in.
fn template_name(checksums: &str) -> String {
    let mut hasher = DefaultHasher::new();
    checksums.hash(&mut hasher);
    format!("test_template_{:016x}", hasher.finish())
}
