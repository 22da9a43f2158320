//! The read models are thrown away and built anew while people go on writing to each other; what is passed over shows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::{Account, DevServer, call, connect, heliograph, next_number, register, standing};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

/// How often everything is rebuilt while the messages flow.
const REBUILDS: usize = 3;

/// A server of a test's own, and who calls it.
struct Installation {
    server: DevServer,
    client: Client,
    data: TempDir,
}

impl Installation {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self {
            server: DevServer::start(data.path()),
            client: Client::new(),
            data,
        }
    }

    async fn person(&self) -> Account {
        let number = next_number();
        register(&self.client, &self.server.http, &number, "x", None)
            .await
            .unwrap()
    }

    /// What the operators' address answers.
    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.server.admin(&self.client, path).await
    }

    /// Runs one of the operators' commands.
    fn run(&self, arguments: &[&str]) -> (ExitStatus, String) {
        heliograph(self.data.path(), arguments)
    }

    /// Runs one of the operators' commands, which must do what it is for.
    fn done(&self, arguments: &[&str]) {
        let (status, output) = self.run(arguments);
        assert!(status.success(), "{output}");
    }

    /// Runs a statement on the database.
    async fn by_hand(&self, statement: &str) {
        let mut connection = connect(self.data.path()).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Sends a message that says a number; it must be accepted.
    async fn say(&self, from: &Account, to: &Account, number: usize) {
        let body = json!({
            "messages": [{
                "type": 1, "destinationDeviceId": 1, "content": BASE64_STANDARD.encode(number.to_string()),
            }],
            "timestamp": 1_767_225_600_000_u64,
        });
        let url = format!("{}/v1/messages/{}", self.server.http, to.aci);
        let sent = self.call(Method::PUT, url, from, Some(body)).await;
        assert_eq!(sent.status(), StatusCode::OK);
    }

    /// Sends numbered messages until told to stop; returns how many were accepted.
    async fn send(&self, from: &Account, to: &Account, stop: &AtomicBool) -> usize {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            self.say(from, to, number).await;
            number += 1;
        }
        number
    }

    /// Receives and acknowledges; every query must succeed. Returns the numbers in order of arrival.
    async fn receive(&self, me: &Account) -> Vec<usize> {
        let url = format!("{}/v1/messages", self.server.http);
        let page = self.call(Method::GET, url.clone(), me, None).await;
        assert_eq!(page.status(), StatusCode::OK);
        let page: Value = page.json().await.unwrap();
        let mut numbers = Vec::new();
        for envelope in page["messages"].as_array().unwrap() {
            if let Some(content) = envelope["content"].as_str() {
                let text = String::from_utf8(BASE64_STANDARD.decode(content).unwrap()).unwrap();
                numbers.push(text.parse().unwrap());
            }
            let message = format!("{url}/uuid/{}", envelope["guid"].as_str().unwrap());
            let gone = self.call(Method::DELETE, message, me, None).await;
            assert_eq!(gone.status(), StatusCode::NO_CONTENT);
        }
        numbers
    }

    async fn call(
        &self,
        method: Method,
        url: String,
        me: &Account,
        body: Option<Value>,
    ) -> Response {
        let user = Some((me.aci.as_str(), "x"));
        call(&self.client, method, url, user, body).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_rebuilt_while_messages_flow() {
    let ours = Arc::new(Installation::start());
    let (alice, bob) = (ours.person().await, ours.person().await);
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, to, told) = (Arc::clone(&ours), bob.clone(), Arc::clone(&stop));
    let sending = TaskTracker::new().spawn(async move { sender.send(&alice, &to, &told).await });
    let operator = Arc::clone(&ours);
    let mut rebuilding = tokio::task::spawn_blocking(move || {
        for _ in 0..REBUILDS {
            operator.done(&["replay", "rebuild", "--all"]);
        }
    });
    let mut received = Vec::new();
    while !rebuilding.is_finished() {
        received.extend(ours.receive(&bob).await);
    }
    (&mut rebuilding).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    while received.len() < sent {
        received.extend(ours.receive(&bob).await);
    }
    assert!(sent > 0);
    assert_eq!(
        received,
        (0..sent).collect::<Vec<_>>(),
        "lost, repeated or out of order"
    );
    ours.done(&["replay", "verify"]);
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
    let ours = Installation::start();
    ours.person().await;
    for name in ["erasure", "inbox"] {
        let park = ["replay", "park", name, "1", "--reason", "cursed"];
        until("it comes to pass the first event", async || {
            ours.run(&park).0.success()
        })
        .await;
        let passes = format!("warning: {name}: passes over 1 parked events");
        until(
            "readiness tells, and is none the worse for it",
            async || {
                let (status, said) = ours.get("/health/ready").await;
                status == StatusCode::OK && said.contains(&passes)
            },
        )
        .await;
        let shown = format!("projection_parked_events{{model=\"{name}\"}} 1");
        until("the metrics show it", async || {
            ours.get("/metrics").await.1.contains(&shown)
        })
        .await;
        let standing = standing(ours.data.path(), name);
        assert_eq!(standing["parked"], 1, "{standing}");
        let unpark = ["replay", "unpark", name, "1", "--reason", "mended"];
        ours.done(&unpark);
        let (_, said) = ours.get("/health/ready").await;
        assert!(!said.contains(&passes), "{said}");
    }
    let (_, said) = ours.run(&["audit", "search", "--event", "EventParked"]);
    assert!(
        said.contains("erasure") && said.contains("inbox") && said.contains("cursed"),
        "{said}"
    );
}

/// The value of a metric of a read model.
fn measured(metrics: &str, name: &str, model: &str) -> Option<f64> {
    let line = format!("{name}{{model=\"{model}\"}} ");
    let value = metrics.lines().find_map(|it| it.strip_prefix(&line))?;
    value.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_stands_still_shows_in_readiness_metrics_and_status_until_it_goes_on() {
    let ours = Installation::start();
    let (alice, bob) = (ours.person().await, ours.person().await);
    ours.by_hand("ALTER TABLE read_models.inbox_v1 ADD CONSTRAINT full_up CHECK (false) NOT VALID")
        .await;
    ours.say(&alice, &bob, 7).await;

    until("readiness tells that it stands still", async || {
        let (status, said) = ours.get("/health/ready").await;
        status == StatusCode::SERVICE_UNAVAILABLE && said.contains("inbox: stopped at position ")
    })
    .await;
    until("the metrics tell", async || {
        let (_, metrics) = ours.get("/metrics").await;
        measured(&metrics, "projection_stopped", "inbox") == Some(1.0)
            && measured(&metrics, "projection_lag_events", "inbox") >= Some(1.0)
            && measured(&metrics, "projection_lag_seconds", "inbox") > Some(0.0)
    })
    .await;
    let standing = standing(ours.data.path(), "inbox");
    assert_eq!(standing["state"], "stopped", "{standing}");
    assert!(standing["behind"].as_u64().unwrap() >= 1, "{standing}");

    ours.by_hand("ALTER TABLE read_models.inbox_v1 DROP CONSTRAINT full_up")
        .await;
    ours.done(&["replay", "rebuild", "inbox"]);
    until("it goes on where the rebuild has come", async || {
        ours.get("/health/ready").await.0 == StatusCode::OK
    })
    .await;
    until("the metrics tell that, too", async || {
        let (_, metrics) = ours.get("/metrics").await;
        measured(&metrics, "projection_stopped", "inbox") == Some(0.0)
            && measured(&metrics, "projection_lag_events", "inbox") == Some(0.0)
            && measured(&metrics, "projection_lag_seconds", "inbox") == Some(0.0)
    })
    .await;
    assert_eq!(ours.receive(&bob).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_way_shows_in_the_metrics_of_the_server() {
    let ours = Installation::start();
    ours.person().await;
    let shown = async |wanted: [(&str, f64); 5]| {
        until("the metrics show it", async || {
            let (_, metrics) = ours.get("/metrics").await;
            let is = |(name, value)| measured(&metrics, name, "accounts") == Some(value);
            wanted.into_iter().all(is)
        })
        .await;
    };
    ours.by_hand(
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
    ours.done(&["replay", "rebuild", "accounts"]);
    shown([
        ("rebuild_running", 0.0),
        ("rebuild_paused", 0.0),
        ("rebuild_progress_ratio", 0.0),
        ("rebuild_events_per_second", 0.0),
        ("rebuild_remaining", 0.0),
    ])
    .await;
}
