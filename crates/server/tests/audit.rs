//! What auditors and outside systems see of a running server, and what is left on its disk of somebody who went.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use support::{Account, ClientKeys, DevServer, call, connect, heliograph, register};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;

const HOW_TO: &str = include_str!("../../../docs/how-to-follow-events.md");

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

async fn send(client: &Client, base: &str, from: &Account, to: &Account, content: &[u8]) {
    let body = json!({
        "timestamp": 1_767_225_600_000_u64,
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "destinationRegistrationId": 4711,
            "content": BASE64_STANDARD.encode(content),
        }],
    });
    let url = format!("{base}/v1/messages/{}", to.aci);
    let as_ = Some((&*from.aci, &*from.password));
    let sent = call(client, Method::PUT, url, as_, Some(body))
        .await
        .unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
}

async fn delete(client: &Client, base: &str, account: &Account) {
    let url = format!("{base}/v1/accounts/me");
    let as_ = Some((&*account.aci, &*account.password));
    let deleted = call(client, Method::DELETE, url, as_, None).await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
}

/// A follower's program, as the documentation prints it.
fn consumer() -> &'static str {
    let (_, rest) = HOW_TO.split_once("```python\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// Passes connections on to `to`; cuts those that there are when `cut` says so.
async fn wire(listener: TcpListener, to: String, cut: Arc<Notify>) {
    let tracker = TaskTracker::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let (to, cut) = (to.clone(), Arc::clone(&cut));
        tracker.spawn(async move {
            let Ok(mut far) = TcpStream::connect(to).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                () = cut.notified() => {}
            }
        });
    }
}

/// Who has no token, or asks for what there is not, is told so.
async fn refuses_strangers(client: &Client, url: &str, token: &str) {
    for (url, token, status) in [
        (url.to_owned(), "", StatusCode::UNAUTHORIZED),
        (url.to_owned(), "wrong", StatusCode::UNAUTHORIZED),
        (
            format!("{url}?family=nobody"),
            token,
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{url}?after=yesterday"),
            token,
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

/// Follows from the first position on, and waits for a sign of life.
async fn resumes(client: &Client, url: &str, token: &str, positions: &[u64]) {
    // Whoever comes back goes on where it was, whatever the address says.
    let mut back = client
        .get(format!("{url}?family=account&after=0"))
        .header("last-event-id", positions[0].to_string())
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    while !text.contains("AccountDeleted") {
        let portion = back.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&portion).unwrap());
    }
    let came: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["position"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(came, positions[1..], "{text}");
    // While nothing happens there are signs of life.
    let alive = async {
        while !text.contains(": alive\n") {
            let portion = back.chunk().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&portion).unwrap());
        }
    };
    tokio::time::timeout(LONG, alive)
        .await
        .expect("a heartbeat");
}

#[tokio::test]
async fn an_outside_system_follows_the_log_with_the_program_in_the_documentation() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let token = std::fs::read_to_string(data.path().join("events.token")).unwrap();
    let url = format!("{}/v1/admin/events", server.admin);
    refuses_strangers(&client, &url, &token).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("http://{}/v1/admin/events", listener.local_addr().unwrap());
    let to = server.admin.strip_prefix("http://").unwrap().to_owned();
    let cut = Arc::new(Notify::new());
    let wires = TaskTracker::new();
    wires.spawn(wire(listener, to, Arc::clone(&cut)));
    let mut follower = Command::new("python3")
        .args(["-c", consumer()])
        .env("EVENTS_URL", through)
        .env("EVENTS_TOKEN", &token)
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python 3 runs the documented program");
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (sender, mut said) = mpsc::unbounded_channel();
    wires.spawn_blocking(move || lines.try_for_each(|line| sender.send(line.unwrap())));
    let mut next = async || said.recv().await.unwrap();
    let one = register(&client, &server.http, "+12025550140", "pw", None)
        .await
        .unwrap();
    let first = next().await;
    assert!(first.ends_with(" AccountRegistered 1"), "{first}");
    // A break costs it nothing, and shows it nothing twice.
    cut.notify_waiters();
    register(&client, &server.http, "+12025550141", "pw", None)
        .await
        .unwrap();
    let mut all = vec![first, next().await];
    assert!(all[1].ends_with(" AccountRegistered 2"), "{all:?}");
    delete(&client, &server.http, &one).await;
    while !all.last().unwrap().contains("AccountDeleted") {
        all.push(next().await);
    }
    assert!(
        all.last().unwrap().ends_with(" AccountDeleted 1"),
        "{all:?}"
    );
    let positions: Vec<u64> = all
        .iter()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");

    // From a position on, one kind only, and without anybody's number.
    let from = format!("{url}?type=AccountDeleted&after={}", positions[0]);
    let mut answer = client.get(from).bearer_auth(&token).send().await.unwrap();
    let text = answer.chunk().await.unwrap().unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["type"], "AccountDeleted");
    assert!(!text.contains("2025550140"), "{text}");
    resumes(&client, &url, &token, &positions).await;
    // The stream ends with the server, not the other way round.
    assert!(server.interrupt().success());
    follower.kill().unwrap();
    follower.wait().unwrap();
}

async fn run(connection: &mut PgConnection, statements: &[&'static str]) {
    for statement in statements {
        sqlx::raw_sql(*statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

/// Files under a folder whose raw bytes hold one of the needles.
fn files_with(folder: &Path, needles: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needles));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = |needle: &&&[u8]| bytes.windows(needle.len()).any(|it| it == **needle);
            if needles.iter().any(|needle| holds(&needle)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// What an operator runs who wants nothing of the past on the disk: dead rows, statistics, and the write-ahead log.
const FORGET: [&str; 9] = [
    "ALTER SYSTEM SET wal_recycle = off",
    "ALTER SYSTEM SET min_wal_size = '32MB'",
    "SELECT pg_reload_conf()",
    "VACUUM (FULL, ANALYZE)",
    "SELECT pg_switch_wal()",
    "CHECKPOINT",
    "VACUUM (FULL, ANALYZE)",
    "SELECT pg_switch_wal()",
    "CHECKPOINT",
];

#[tokio::test]
async fn after_deletion_the_raw_database_files_hold_neither_number_nor_message() {
    const NUMBER: &str = "+12025550187";
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let (client, base) = (Client::new(), server.http.clone());
    let keys = ClientKeys::new(1);
    let gone = register(&client, &base, NUMBER, "pw", Some(&keys))
        .await
        .unwrap();
    let other = register(&client, &base, "+12025550188", "pw", None)
        .await
        .unwrap();
    let message =
        b"these very bytes were sent to somebody who is gone now, and they lie here".repeat(20);
    send(&client, &base, &other, &gone, &message).await;
    let cluster = data.path().join("postgres");
    let (digits, bytes) = (&NUMBER.as_bytes()[1..], &message[..60]);
    let mut connection = connect(data.path()).await;
    run(&mut connection, &["CHECKPOINT"]).await;
    assert!(
        !files_with(&cluster, &[digits]).is_empty(),
        "the number is there before"
    );
    assert!(
        !files_with(&cluster, &[bytes]).is_empty(),
        "the message is there before"
    );

    delete(&client, &base, &gone).await;
    let erased = async {
        loop {
            let sql = "SELECT count(*) FROM log.events WHERE family = 11 AND type = 1";
            let count: i64 = sqlx::query_scalar(sql)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if count > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, erased)
        .await
        .expect("the erasure is recorded");
    let (status, report) = heliograph(
        data.path(),
        &["audit", "erasure-report", "--account", &gone.aci, "--json"],
    );
    assert!(status.success(), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["keys"], 0);
    assert_eq!(report["records"][0]["event"], "AccountErased");
    let payloads = report["payloads"].as_array().unwrap();
    assert!(
        payloads.len() >= 2,
        "a message and last-resort keys: {report}"
    );
    assert!(
        payloads
            .iter()
            .all(|it| it["present"] == false && it["recordedAt"].is_string()),
        "{report}"
    );
    let (status, history) = heliograph(data.path(), &["audit", "show", "--account", &gone.aci]);
    assert!(
        status.success() && history.contains("number=erased"),
        "{history}"
    );
    assert!(!history.contains(NUMBER), "{history}");

    run(&mut connection, &FORGET).await;
    connection.close().await.unwrap();
    assert!(server.interrupt().success());
    assert_eq!(files_with(&cluster, &[digits, bytes]), [""; 0]);
}

#[tokio::test]
async fn the_log_is_signed_and_an_edited_row_is_named() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let one = register(&client, &server.http, "+12025550160", "pw", None)
        .await
        .unwrap();
    let mut connection = connect(data.path()).await;
    let signed = async {
        loop {
            let sql = "SELECT size FROM log.tree_signed";
            let size: i64 = sqlx::query_scalar(sql)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if size >= 5 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG * 2, signed)
        .await
        .expect("a head is signed");
    let (status, proof) = heliograph(data.path(), &["audit", "prove", "--position", "3"]);
    assert!(status.success(), "{proof}");
    let file = data.path().join("proof.json");
    std::fs::write(&file, &proof).unwrap();
    let file = file.to_str().unwrap();
    let (status, said) = heliograph(data.path(), &["audit", "check"]);
    assert!(status.success() && said.starts_with("clean: "), "{said}");
    delete(&client, &server.http, &one).await;
    run(
        &mut connection,
        &["ALTER TABLE log.events DISABLE TRIGGER append_only;
           UPDATE log.events SET recorded_at = recorded_at - 1 WHERE position = 4;
           ALTER TABLE log.events ENABLE TRIGGER append_only"],
    )
    .await;
    let (status, said) = heliograph(data.path(), &["audit", "check"]);
    assert!(!status.success() && said.contains("position 4 "), "{said}");
    connection.close().await.unwrap();
    assert!(server.interrupt().success());
    // Whoever has the proof and the key needs nobody else.
    let (status, said) = heliograph(data.path(), &["audit", "verify-proof", file]);
    assert!(
        status.success() && said.contains("stood at position 3 "),
        "{said}"
    );
}

/// Waits until a query finds something.
async fn until(connection: &mut PgConnection, sql: &'static str) {
    let found = async {
        while !sqlx::query_scalar::<_, bool>(sql)
            .fetch_one(&mut *connection)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, found).await.expect(sql);
}

#[tokio::test]
async fn every_event_of_a_journey_says_who_did_it_through_which_request_and_because_of_what() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let (client, base) = (Client::new(), server.http.clone());
    let one = register(&client, &base, "+12025550150", "pw", None)
        .await
        .unwrap();
    let two = register(&client, &base, "+12025550151", "pw", None)
        .await
        .unwrap();
    send(&client, &base, &one, &two, b"hello").await;
    let as_two = Some((&*two.aci, &*two.password));
    let url = format!("{base}/v1/messages");
    let page = call(&client, Method::GET, url.clone(), as_two, None).await;
    let page: Value = page.unwrap().json().await.unwrap();
    let guid = page["messages"][0]["guid"].as_str().unwrap();
    let got = call(
        &client,
        Method::DELETE,
        format!("{url}/uuid/{guid}"),
        as_two,
        None,
    );
    assert!(got.await.unwrap().status().is_success());
    send(&client, &base, &two, &one, b"never fetched").await;
    delete(&client, &base, &one).await;
    let mut connection = connect(data.path()).await;
    let erased = "SELECT EXISTS (SELECT FROM log.readable WHERE type = 'AccountErased')";
    until(&mut connection, erased).await;

    let kinds: Vec<String> = sqlx::query_scalar("SELECT DISTINCT type FROM log.readable")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    for kind in [
        "AccountRegistered",
        "MessageQueued",
        "MessagesDelivered",
        "AccountDeleted",
        "AccountErased",
    ] {
        assert!(kinds.iter().any(|it| it == kind), "{kind}: {kinds:?}");
    }
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT type FROM log.readable
         WHERE NOT coalesce(metadata ?& ARRAY['at', 'actor', 'request', 'correlation'], false)
            OR metadata->>'actor' = '' OR metadata->>'request' IS NULL OR metadata->>'correlation' IS NULL",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(silent, [""; 0]);
    // What reactors do has a cause, which stands before it in the log and in the same chain.
    let causes: Vec<(String, Option<String>, Option<bool>)> = sqlx::query_as(
        "SELECT effect.type, cause.type,
                cause.position < effect.position
                AND effect.metadata->>'correlation' = cause.metadata->>'correlation'
         FROM log.readable effect
         LEFT JOIN log.readable cause ON cause.event_id::text = effect.metadata->>'causation'
         WHERE effect.metadata->>'actor' = 'system:erasure'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let because_of_deletion = (
        "AccountErased".to_owned(),
        Some("AccountDeleted".to_owned()),
        Some(true),
    );
    assert!(causes.contains(&because_of_deletion), "{causes:?}");
    assert!(
        causes
            .iter()
            .all(|(_, cause, fits)| cause.is_some() && *fits == Some(true)),
        "{causes:?}"
    );
    connection.close().await.unwrap();
    assert!(server.interrupt().success());
}
