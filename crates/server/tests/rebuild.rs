//! The read models are thrown away and built anew while people go on writing to each other; what is passed over shows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::{Account, DevServer, call, connect, heliograph, next_number, register, standing};
use tokio_util::task::TaskTracker;

/// How often everything is rebuilt while the messages flow.
const REBUILDS: usize = 3;

/// Sends a message that says a number; it must be accepted.
async fn say(client: &Client, base: &str, from: &Account, to: &Account, number: usize) {
    let body = json!({
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "content": BASE64_STANDARD.encode(number.to_string()),
        }],
        "timestamp": 1_767_225_600_000_u64,
    });
    let url = format!("{base}/v1/messages/{}", to.aci);
    let user = Some((from.aci.as_str(), "x"));
    let sent = call(client, Method::PUT, url, user, Some(body)).await;
    assert_eq!(sent.unwrap().status(), StatusCode::OK);
}

/// Sends numbered messages until told to stop; returns how many were accepted.
async fn send(
    client: Client,
    base: String,
    from: Account,
    to: Account,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        say(&client, &base, &from, &to, number).await;
        number += 1;
    }
    number
}

/// Receives and acknowledges; every query must succeed. Returns the numbers in order of arrival.
async fn receive(client: &Client, base: &str, me: &Account) -> Vec<usize> {
    let user = Some((me.aci.as_str(), "x"));
    let page = call(
        client,
        Method::GET,
        format!("{base}/v1/messages"),
        user,
        None,
    )
    .await
    .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page: Value = page.json().await.unwrap();
    let mut numbers = Vec::new();
    for envelope in page["messages"].as_array().unwrap() {
        if let Some(content) = envelope["content"].as_str() {
            let text = String::from_utf8(BASE64_STANDARD.decode(content).unwrap()).unwrap();
            numbers.push(text.parse().unwrap());
        }
        let url = format!(
            "{base}/v1/messages/uuid/{}",
            envelope["guid"].as_str().unwrap()
        );
        let gone = call(client, Method::DELETE, url, user, None).await.unwrap();
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_rebuilt_while_messages_flow() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let alice = register(&client, &server.http, &next_number(), "x", None)
        .await
        .unwrap();
    let bob = register(&client, &server.http, &next_number(), "x", None)
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let sending = send(
        client.clone(),
        server.http.clone(),
        alice,
        bob.clone(),
        Arc::clone(&stop),
    );
    let tasks = TaskTracker::new();
    let sending = tasks.spawn(sending);

    let folder = data.path().to_owned();
    let mut rebuilding = tokio::task::spawn_blocking(move || {
        for _ in 0..REBUILDS {
            let (status, output) = heliograph(&folder, &["replay", "rebuild", "--all"]);
            assert!(status.success(), "{output}");
        }
    });
    let mut received = Vec::new();
    while !rebuilding.is_finished() {
        received.extend(receive(&client, &server.http, &bob).await);
    }
    (&mut rebuilding).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    while received.len() < sent {
        received.extend(receive(&client, &server.http, &bob).await);
    }
    assert!(sent > 0);
    assert_eq!(
        received,
        (0..sent).collect::<Vec<_>>(),
        "lost, repeated or out of order"
    );
    let (status, output) = heliograph(data.path(), &["replay", "verify"]);
    assert!(status.success(), "{output}");
}

/// Longer than it takes until metrics show what an operator did.
const LONG: Duration = Duration::from_mins(1);

/// Asks again and again until the answer is as wanted.
async fn until(what: &str, wanted: impl AsyncFn() -> bool) {
    let look = async {
        while !wanted().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let looked = tokio::time::timeout(LONG, look).await;
    looked.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reactor_or_a_read_model_passes_over_shows_in_readiness_metrics_and_status() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    register(&client, &server.http, &next_number(), "x", None)
        .await
        .unwrap();
    let get = async |path: &str| server.admin(&client, path).await;
    let run = |arguments: &[&str]| heliograph(data.path(), arguments);
    for name in ["erasure", "inbox"] {
        let park = ["replay", "park", name, "1", "--reason", "cursed"];
        until("it comes to pass the first event", async || {
            run(&park).0.success()
        })
        .await;
        let passes = format!("warning: {name}: passes over 1 parked events");
        until(
            "readiness tells, and is none the worse for it",
            async || {
                let (status, said) = get("/health/ready").await;
                status == StatusCode::OK && said.contains(&passes)
            },
        )
        .await;
        let shown = format!("projection_parked_events{{model=\"{name}\"}} 1");
        until("the metrics show it", async || {
            get("/metrics").await.1.contains(&shown)
        })
        .await;
        let standing = standing(data.path(), name);
        assert_eq!(standing["parked"], 1, "{standing}");
        let unpark = ["replay", "unpark", name, "1", "--reason", "mended"];
        assert!(run(&unpark).0.success());
        let (_, said) = get("/health/ready").await;
        assert!(!said.contains(&passes), "{said}");
    }
    let (_, said) = run(&["audit", "search", "--event", "EventParked"]);
    assert!(
        said.contains("erasure") && said.contains("inbox") && said.contains("cursed"),
        "{said}"
    );
}

/// Runs a statement on the database of the server with this data.
async fn by_hand(data: &Path, statement: &str) {
    let mut connection = connect(data).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

/// The value of a metric of a read model.
fn measured(metrics: &str, name: &str, model: &str) -> Option<f64> {
    let line = format!("{name}{{model=\"{model}\"}} ");
    let value = metrics.lines().find_map(|it| it.strip_prefix(&line))?;
    value.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_stands_still_shows_in_readiness_metrics_and_status_until_it_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    let (alice, bob) = (next_number(), next_number());
    let alice = register(&client, &server.http, &alice, "x", None)
        .await
        .unwrap();
    let bob = register(&client, &server.http, &bob, "x", None)
        .await
        .unwrap();
    let get = async |path: &str| server.admin(&client, path).await;
    by_hand(
        data.path(),
        "ALTER TABLE read_models.inbox_v1 ADD CONSTRAINT full_up CHECK (false) NOT VALID",
    )
    .await;
    say(&client, &server.http, &alice, &bob, 7).await;

    until("readiness tells that it stands still", async || {
        let (status, said) = get("/health/ready").await;
        status == StatusCode::SERVICE_UNAVAILABLE && said.contains("inbox: stopped at position ")
    })
    .await;
    until("the metrics tell", async || {
        let (_, metrics) = get("/metrics").await;
        measured(&metrics, "projection_stopped", "inbox") == Some(1.0)
            && measured(&metrics, "projection_lag_events", "inbox") >= Some(1.0)
            && measured(&metrics, "projection_lag_seconds", "inbox") > Some(0.0)
    })
    .await;
    let standing = standing(data.path(), "inbox");
    assert_eq!(standing["state"], "stopped", "{standing}");
    assert!(standing["behind"].as_u64().unwrap() >= 1, "{standing}");

    by_hand(
        data.path(),
        "ALTER TABLE read_models.inbox_v1 DROP CONSTRAINT full_up",
    )
    .await;
    let (status, output) = heliograph(data.path(), &["replay", "rebuild", "inbox"]);
    assert!(status.success(), "{output}");
    until("it goes on where the rebuild has come", async || {
        get("/health/ready").await.0 == StatusCode::OK
    })
    .await;
    until("the metrics tell that, too", async || {
        let (_, metrics) = get("/metrics").await;
        measured(&metrics, "projection_stopped", "inbox") == Some(0.0)
            && measured(&metrics, "projection_lag_events", "inbox") == Some(0.0)
            && measured(&metrics, "projection_lag_seconds", "inbox") == Some(0.0)
    })
    .await;
    assert_eq!(receive(&client, &server.http, &bob).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_way_shows_in_the_metrics_of_the_server() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let client = Client::new();
    register(&client, &server.http, &next_number(), "x", None)
        .await
        .unwrap();
    let shown = async |wanted: [(&str, f64); 5]| {
        until("the metrics show it", async || {
            let (_, metrics) = server.admin(&client, "/metrics").await;
            let is = |(name, value)| measured(&metrics, name, "accounts") == Some(value);
            wanted.into_iter().all(is)
        })
        .await;
    };
    by_hand(
        data.path(),
        "INSERT INTO projection.rebuilds (model, operator, wanted, position, goal, events, rate, seconds_left)
         VALUES ('accounts', 'eve', 'pause', 250, 1000, 250, 5000, 7)",
    )
    .await;
    shown([
        ("rebuild_running", 1.0),
        ("rebuild_paused", 1.0),
        ("rebuild_progress_ratio", 0.25),
        ("rebuild_events_per_second", 5000.0),
        ("rebuild_remaining", 7.0),
    ])
    .await;
    let (status, output) = heliograph(data.path(), &["replay", "rebuild", "accounts"]);
    assert!(status.success(), "{output}");
    shown([
        ("rebuild_running", 0.0),
        ("rebuild_paused", 0.0),
        ("rebuild_progress_ratio", 0.0),
        ("rebuild_events_per_second", 0.0),
        ("rebuild_remaining", 0.0),
    ])
    .await;
}
