//! Old history moves to the archive, and whoever does it is killed at the worst moments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::StreamId;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use store_postgres::PgSubjectKeys;
use support::cluster::Installation;
use support::{Account, DevServer, HELIOGRAPH, call, connect, heliograph, register};
use testkit::environment::SeededEntropy;
use testkit::history::History;
use testkit::history::samples::{self, Address};

const LONG: Duration = Duration::from_mins(2);

const MESSAGES: usize = 20;

async fn exchange(client: &Client, base: &str, from: &Account, to: &Account) {
    for number in 0..MESSAGES {
        let body = json!({
            "timestamp": 1_767_225_600_000_u64,
            "messages": [{
                "type": 1, "destinationDeviceId": 1, "destinationRegistrationId": 4711,
                "content": BASE64_STANDARD.encode(format!("message {number}")),
            }],
        });
        let url = format!("{base}/v1/messages/{}", to.aci);
        let as_ = Some((&*from.aci, &*from.password));
        let sent = call(client, Method::PUT, url, as_, Some(body));
        assert_eq!(sent.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(fetch(client, base, to).await, MESSAGES);
    // The receipts: what waits does not move.
    assert_eq!(fetch(client, base, from).await, MESSAGES);
}

/// Fetches and acknowledges what waits; tells how many envelopes that were.
async fn fetch(client: &Client, base: &str, account: &Account) -> usize {
    let as_ = Some((&*account.aci, &*account.password));
    let url = format!("{base}/v1/messages");
    let page = call(client, Method::GET, url, as_, None).await.unwrap();
    let page: Value = page.json().await.unwrap();
    let messages = page["messages"].as_array().unwrap();
    for message in messages {
        let guid = message["guid"].as_str().unwrap();
        let url = format!("{base}/v1/messages/uuid/{guid}");
        let gone = call(client, Method::DELETE, url, as_, None).await.unwrap();
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    }
    messages.len()
}

/// Waits until a query says so.
async fn until(connection: &mut PgConnection, what: &'static str) {
    let told = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        loop {
            let holds: bool = sqlx::query_scalar(what)
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            if holds {
                return;
            }
            turns.tick().await;
        }
    };
    let within = tokio::time::timeout(LONG, told).await;
    within.unwrap_or_else(|_| panic!("never came true: {what}"));
}

async fn count(connection: &mut PgConnection, what: &'static str) -> i64 {
    sqlx::query_scalar(what)
        .fetch_one(connection)
        .await
        .unwrap()
}

const IN_TABLE: &str =
    "SELECT count(*) FROM log.events e JOIN log.event_types t USING (family, type)
                        WHERE t.family_name = 'mailbox'";
const SIGNED: &str = "SELECT coalesce(max(e.position), 0) <= (SELECT size FROM log.tree_signed)
                      FROM log.events e JOIN log.event_types t USING (family, type) WHERE t.family_name = 'mailbox'";
const NOBODY_MOVES: &str = "SELECT count(*) = 0 FROM pg_locks
                            WHERE locktype = 'advisory' AND classid = 1214606441 AND objid::bigint = 4294967292";

fn moving(data: &Path, archive: &Path) -> Child {
    Command::new(HELIOGRAPH)
        .args(["retention", "run", "--mailbox-days", "0", "--to"])
        .arg(format!("file://{}", archive.display()))
        .arg("--data-dir")
        .arg(data)
        .env_remove("DATABASE_URL")
        .spawn()
        .unwrap()
}

fn objects(archive: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(archive.join("mailbox")) else {
        return Vec::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    // What is being written has another name until it is whole.
    files
        .filter(|file| file.extension().is_some_and(|it| it == "gz"))
        .collect()
}

async fn until_uploaded(archive: &Path) {
    let uploaded = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        while objects(archive).is_empty() {
            turns.tick().await;
        }
    };
    tokio::time::timeout(LONG, uploaded)
        .await
        .expect("an object is written");
}

fn exported(data: &Path) -> Vec<String> {
    let (status, text) = heliograph(data, &["audit", "export"]);
    assert!(status.success(), "{text}");
    text.lines().map(str::to_owned).collect()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn killed_between_upload_and_deletion_or_before_it_is_told_nothing_is_lost_or_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let archive = folder.path().join("archive");
    let server = DevServer::start(&data);
    let client = Client::new();
    let one = register(&client, &server.http, "+12025550150", "pw", None);
    let one = one.await.unwrap();
    let two = register(&client, &server.http, "+12025550151", "pw", None);
    let two = two.await.unwrap();
    exchange(&client, &server.http, &one, &two).await;
    let mut watching = connect(&data).await;
    until(&mut watching, SIGNED).await;
    let before = exported(&data);
    let there = count(&mut watching, IN_TABLE).await;
    assert!(there >= 2 * i64::try_from(MESSAGES).unwrap());

    // The object is there, and the catalogue takes no row.
    let mut blocking = connect(&data).await;
    let mut held = blocking.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE log.segments IN SHARE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let child = moving(&data, &archive);
    until_uploaded(&archive).await;
    kill(child);
    held.rollback().await.unwrap();
    until(&mut watching, NOBODY_MOVES).await;
    assert_eq!(count(&mut watching, IN_TABLE).await, there);
    assert_eq!(
        count(&mut watching, "SELECT count(*) FROM log.segments").await,
        0
    );
    assert_eq!(exported(&data)[..before.len()], before);

    // The events have moved, and the log takes no word of it.
    let mut held = blocking.begin().await.unwrap();
    sqlx::query("SELECT FROM log.head FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let child = moving(&data, &archive);
    until(&mut watching, "SELECT count(*) > 0 FROM log.segments").await;
    kill(child);
    held.rollback().await.unwrap();
    until(&mut watching, NOBODY_MOVES).await;
    assert_eq!(count(&mut watching, IN_TABLE).await, 0);
    assert_eq!(exported(&data)[..before.len()], before);

    // Whoever comes next finishes what was begun, and has nothing to do twice.
    assert!(moving(&data, &archive).wait().unwrap().success());
    let after = exported(&data);
    assert_eq!(after[..before.len()], before);
    let lines: Vec<Value> = after
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (line, position) in lines.iter().zip(1_u64..) {
        assert_eq!(line["position"], position);
    }
    let ids: HashSet<&str> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), lines.len());
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "HistoryArchived")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["events"], there);
    assert_eq!(objects(&archive).len(), 1);
    for arguments in [
        &["replay", "verify", "--all"][..],
        &["audit", "check"],
        &["retention", "check"],
        &["retention", "status", "--mailbox-days", "0"],
    ] {
        let (status, said) = heliograph(&data, arguments);
        assert!(status.success(), "{arguments:?}: {said}");
    }
    let (_, said) = heliograph(&data, &["audit", "search", "--event", "HistoryArchived"]);
    assert!(
        said.contains("operator:") && said.contains("mailbox/"),
        "{said}"
    );
    // Messages flow as before.
    exchange(&client, &server.http, &two, &one).await;
    exchange(&client, &server.http, &one, &two).await;
    let (status, said) = heliograph(&data, &["replay", "verify", "inbox"]);
    assert!(status.success(), "{said}");
    assert!(server.interrupt().success());
}

#[tokio::test]
async fn a_worker_moves_what_is_old_by_itself_and_the_log_says_who_did() {
    let archive = tempfile::tempdir().unwrap();
    let installation = Installation::new().await;
    // Written when the clock of tests stood still, months ago.
    let mut history = History::default();
    let device = Address(1, 1, 1);
    history.then(
        StreamId::account(samples::aci(1)),
        samples::registered(1, 1),
    );
    history.message(device, 1, b"long ago");
    history.then(StreamId::mailbox(device.into()), samples::delivered(&[1]));
    let store = installation.database.event_store().await;
    let entropy = Arc::new(SeededEntropy::default());
    let keys = PgSubjectKeys::new(installation.database.pool.clone(), entropy);
    history.append(&store, &keys).await;

    installation.configure("[audit]\nheads_every_s = 1\n");
    let node = installation.start();
    let pool = &installation.database.pool;
    let mut watching = pool.acquire().await.unwrap();
    let read = "SELECT position >= 3 AND (SELECT size >= 3 FROM log.tree_signed) FROM projection.checkpoints WHERE model = 'inbox'
                UNION ALL SELECT false LIMIT 1";
    until(&mut watching, read).await;
    drop(node);
    let url = format!("file://{}", archive.path().display());
    installation.configure(&format!("[retention]\nmailbox_days = 2\nurl = \"{url}\"\n"));
    let _node = installation.start();
    until(
        &mut watching,
        "SELECT count(*) = 1 FROM log.readable
         WHERE type = 'HistoryArchived' AND metadata ->> 'actor' = 'operator:retention' AND data ->> 'events' = '2'",
    )
    .await;
    assert_eq!(count(&mut watching, IN_TABLE).await, 0);
    assert_eq!(objects(archive.path()).len(), 1);
}
