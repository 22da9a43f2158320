//! The private cluster: made, reused, cleaned up after, and gone with its owner.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{ConnectOptions as _, Connection as _};
use store_postgres::embedded::{self, Cluster, EmbeddedError, Options};
use tempfile::TempDir;

const OWNED_FOLDER: &str = "HELIOGRAPH_TEST_OWNED_FOLDER";

/// A folder that the unprivileged user of Postgres can reach.
fn folder() -> TempDir {
    folder_with_mode(0o755)
}

/// A folder with exactly this mode, whatever the umask.
fn folder_with_mode(mode: u32) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("heliograph-embedded-")
        .tempdir_in("/var/tmp")
        .unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
    folder
}

fn options(folder: &Path) -> Options {
    Options {
        fsync: false,
        ..Options::new(folder.join("postgres"))
    }
}

fn is_running(pid: i32) -> bool {
    let Ok(()) = test_kill_process(Pid::from_raw(pid).unwrap()) else {
        return false;
    };
    // A zombie that nobody has asked after yet runs no more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.contains(") Z ")
}

async fn answer(cluster: &Cluster) -> i32 {
    let mut connection = cluster.connect_options().connect().await.unwrap();
    sqlx::query_scalar("SELECT 42")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_second_start_keeps_the_data() {
    let folder = folder();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let mut connection = cluster.connect_options().connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let first = cluster.postmaster().unwrap();
    cluster.stop().await.unwrap();
    assert!(!is_running(first));

    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let mut connection = cluster.connect_options().connect().await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT n FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 7);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_owner_at_a_time() {
    let folder = folder();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let second = Cluster::start(&options(folder.path())).await;
    assert!(matches!(second, Err(EmbeddedError::InUse(_))), "{second:?}");
    assert_eq!(answer(&cluster).await, 42);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let folder = folder();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let stranger = cluster
        .connect_options()
        .clone()
        .password("guess")
        .connect()
        .await;
    assert!(
        stranger
            .unwrap_err()
            .to_string()
            .contains("password authentication failed")
    );
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_the_unprivileged_user_cannot_reach_has_a_stand_in() {
    let folder = folder_with_mode(0o700);
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    assert_eq!(answer(&cluster).await, 42);
    let used = cluster.directory().to_owned();
    assert_eq!(
        used,
        embedded::location(&folder.path().join("postgres")).unwrap()
    );
    cluster.stop().await.unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(used.starts_with("/var/tmp") && !used.starts_with(folder.path()));
        std::fs::remove_dir_all(used).unwrap();
    } else {
        assert_eq!(used, folder.path().join("postgres"));
    }
}

#[tokio::test]
async fn a_pid_file_that_names_somebody_else_is_no_obstacle() {
    let folder = folder();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let pid_file = cluster.directory().join("data/postmaster.pid");
    let left = std::fs::read_to_string(&pid_file).unwrap();
    cluster.stop().await.unwrap();
    // The number now belongs to a process that has nothing to do with Postgres: this one.
    let (_, rest) = left.split_once('\n').unwrap();
    std::fs::write(&pid_file, format!("{}\n{rest}", std::process::id())).unwrap();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    assert_eq!(answer(&cluster).await, 42);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_postgres_is_started_again() {
    let folder = folder();
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    let first = cluster.postmaster().unwrap();
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    let mut connection = loop {
        // Refused until the new one has recovered.
        match cluster.connect_options().connect().await {
            Ok(connection) if cluster.postmaster().is_some_and(|pid| pid != first) => {
                break connection;
            }
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    };
    let answer: i32 = sqlx::query_scalar("SELECT 42")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(answer, 42);
    cluster.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "the process that `postgres_ends_with_an_owner_that_is_killed` starts, and kills"]
async fn own_a_cluster_until_killed() {
    let Some(folder) = std::env::var_os(OWNED_FOLDER) else {
        return;
    };
    let cluster = Cluster::start(&options(Path::new(&folder))).await.unwrap();
    let pid = cluster.postmaster().unwrap();
    println!("\npostmaster {pid}");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn postgres_ends_with_an_owner_that_is_killed() {
    use std::io::{BufRead as _, BufReader};
    let folder = folder();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "own_a_cluster_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(OWNED_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let postmaster: i32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("postmaster ")?.parse().ok())
        .expect("the owner tells whom it owns");
    assert!(is_running(postmaster));
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The next owner waits for the old Postgres to end, and finds the data in order.
    let cluster = Cluster::start(&options(folder.path())).await.unwrap();
    assert!(!is_running(postmaster));
    assert_eq!(answer(&cluster).await, 42);
    cluster.stop().await.unwrap();
}
