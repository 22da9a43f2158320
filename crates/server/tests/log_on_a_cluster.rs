//! The log on a cluster, by configuration alone: the whole server, and the test that operators can run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::EventStore;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::{Account, DevServer, HELIOGRAPH, call, connect, heliograph, next_number, register};
use testkit::eventstore::Double;
use testkit::memory::MemoryStore;
use testkit::postgres::TestDatabase;

/// How many messages go from one to the other.
const MESSAGES: u32 = 20;

async fn send(client: &Client, base: &str, from: &Account, to: &Account, text: &str) -> u64 {
    let body = json!({
        "messages": [{ "type": 1, "destinationDeviceId": 1, "content": BASE64_STANDARD.encode(text) }],
        "timestamp": 1_767_225_600_000_u64,
    });
    let url = format!("{base}/v1/messages/{}", to.aci);
    let user = Some((from.aci.as_str(), from.password.as_str()));
    let sent = call(client, Method::PUT, url, user, Some(body))
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let position = sent.headers()["x-event-position"].to_str().unwrap();
    position.parse().unwrap()
}

/// What waits, acknowledged.
async fn receive(client: &Client, base: &str, me: &Account) -> Vec<String> {
    let user = Some((me.aci.as_str(), me.password.as_str()));
    let mut texts = Vec::new();
    loop {
        let url = format!("{base}/v1/messages");
        let page = call(client, Method::GET, url, user, None).await.unwrap();
        let page: Value = page.error_for_status().unwrap().json().await.unwrap();
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            return texts;
        }
        for message in messages {
            // Receipts have no content.
            if let Some(content) = message["content"].as_str() {
                texts.push(String::from_utf8(BASE64_STANDARD.decode(content).unwrap()).unwrap());
            }
            let guid = message["guid"].as_str().unwrap();
            let url = format!("{base}/v1/messages/uuid/{guid}");
            let gone = call(client, Method::DELETE, url, user, None).await.unwrap();
            assert_eq!(gone.status(), StatusCode::NO_CONTENT);
        }
    }
}

/// What stands in the log and in the payload store of a server's Postgres.
async fn kept_in_postgres(data: &Path) -> (i64, i64) {
    let mut connection = connect(data).await;
    let count = "SELECT (SELECT count(*) FROM log.events), (SELECT count(*) FROM log.payloads)";
    sqlx::query_as(count)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Registers, sends, receives, rebuilds, proves, and does it again after a restart.
async fn everything_works_on(double: &Double) {
    let data = tempfile::tempdir().unwrap();
    let url = double.url();
    let cluster: &[&str] = &["--eventstore-url", &url];
    let server = DevServer::start_with(data.path(), cluster);
    let client = Client::new();
    let people = [next_number(), next_number()];
    let alice = register(&client, &server.http, &people[0], "a", None)
        .await
        .unwrap();
    let bob = register(&client, &server.http, &people[1], "b", None)
        .await
        .unwrap();
    let mut last = 0;
    for n in 0..MESSAGES {
        let position = send(&client, &server.http, &alice, &bob, &n.to_string()).await;
        assert!(position > last, "positions rise");
        last = position;
    }
    let (events, payloads) = kept_in_postgres(data.path()).await;
    assert_eq!(events, 0, "the log is on the cluster");
    assert!(payloads >= i64::from(MESSAGES), "payloads are not");

    for command in ["rebuild", "verify"] {
        let (status, output) = heliograph(data.path(), &["replay", command, "--all"]);
        assert!(status.success(), "{output}");
    }
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(receive(&client, &server.http, &bob).await, expected);
    let ready = client
        .get(format!("{}/health/ready", server.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let (_, history) = heliograph(data.path(), &["audit", "show", "--account", &bob.aci]);
    for event in ["AccountRegistered", "MessageQueued", "MessagesDelivered"] {
        assert!(history.contains(event), "{event} is not shown:\n{history}");
    }
    assert!(server.interrupt().success());

    let server = DevServer::start_with(data.path(), cluster);
    send(&client, &server.http, &bob, &alice, "again").await;
    assert!(
        receive(&client, &server.http, &alice)
            .await
            .contains(&"again".to_owned())
    );
    let (status, output) = heliograph(data.path(), &["replay", "verify"]);
    assert!(status.success(), "{output}");
    assert!(server.interrupt().success());

    let (status, output) = heliograph(
        data.path(),
        &[
            "dev",
            "--http-port",
            "0",
            "--https-port",
            "0",
            "--admin-port",
            "0",
        ],
    );
    assert!(
        !status.success() && output.contains("another log"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_server_runs_on_a_cluster_whose_positions_are_far_apart() {
    everything_works_on(&Double::sparse(Arc::new(MemoryStore::default())).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_server_runs_on_a_cluster_that_keeps_its_events_in_postgres() {
    let database = TestDatabase::create().await;
    let store: Arc<dyn EventStore> = Arc::new(database.event_store().await);
    everything_works_on(&Double::over(store).await).await;
}

fn run(database: &TestDatabase, eventstore: &str, arguments: &[&str]) -> Output {
    Command::new(HELIOGRAPH)
        .args(arguments)
        .args([
            "--database-url",
            &database.url(),
            "--eventstore-url",
            eventstore,
        ])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Off the runtime, on which the double answers.
async fn refused(database: &Arc<TestDatabase>, eventstore: String) -> String {
    let database = Arc::clone(database);
    let running = move || run(&database, &eventstore, &["replay", "status"]);
    let output = tokio::task::spawn_blocking(running).await.unwrap();
    assert!(!output.status.success());
    said(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_used_is_told_apart_from_others() {
    let database = Arc::new(TestDatabase::create().await);
    let double = Double::over(Arc::new(MemoryStore::default())).await;
    double.faults().require_credentials("admin", "changeit");
    let wrong = double.url().replace("esdb://", "esdb://admin:guessed@");
    let text = refused(&database, wrong).await;
    assert!(text.contains("refused the user or the password"), "{text}");
    assert!(!text.contains("guessed"), "{text}");

    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = refused(&database, format!("esdb://{free}?tls=false")).await;
    assert!(
        text.contains(&format!("no connection to the EventStoreDB node {free}")),
        "{text}"
    );

    let follower = Double::over(Arc::new(MemoryStore::default())).await;
    let itself = follower.address();
    follower.faults().follow_leader("127.0.0.1", itself.port());
    let text = refused(&database, follower.url()).await;
    assert!(
        text.contains(&format!("is not the leader; it names {itself}")),
        "{text}"
    );

    let text = refused(&database, "esdb://admin:guessed@:x".to_owned()).await;
    assert!(
        text.contains("not of the form esdb://") && !text.contains("guessed"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_binary_puts_a_cluster_to_the_test() {
    let database = Arc::new(TestDatabase::create().await);
    let double = Double::sparse(Arc::new(MemoryStore::default())).await;
    let check = async |url: String| {
        let database = Arc::clone(&database);
        let running = move || run(&database, &url, &["store-contract"]);
        tokio::task::spawn_blocking(running).await.unwrap()
    };
    let sound = check(double.url()).await;
    let text = said(&sound);
    assert!(sound.status.success(), "{text}");
    let lines = String::from_utf8_lossy(&sound.stdout).lines().count();
    assert_eq!(text.matches("\nkept").count() + 1, lines - 1, "{text}");
    assert!(
        text.contains(&format!("{} promises kept, 0 broken", lines - 1)),
        "{text}"
    );

    double.faults().fail_appends(u32::MAX);
    let unsound = check(double.url()).await;
    assert!(!unsound.status.success());
    assert!(said(&unsound).contains("BROKEN"), "{}", said(&unsound));
}
