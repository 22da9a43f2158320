//! The designs that are measured: single inserts by pgbench, the cqrs-es framework, and ours.

mod cqrs;
mod ours;
mod pgbench;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store_postgres::embedded::Cluster;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A stream gets this many events before the next one begins.
const EVENTS_A_STREAM: u64 = 20;

/// A message-accepted record of 10 fields, as it was measured for the design: 591 bytes of JSON.
const RECORD: &str = concat!(
    r#"{"guid":"5f0c8a3e-7f57-4a0e-9d3b-2f0d1c9e8b7a","destination":"PNI:0d6c7b2a-1e4f-4c3d-8b5a-9f8e7d6c5b4a","#,
    r#""source":"9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d","source_device":2,"type":"CIPHERTEXT","#,
    r#""client_timestamp":1767225600123,"server_timestamp":1767225600456,"urgent":true,"story":false,"#,
    r#""content":"MwohBWb3ZQ5f0J0m6qN3r8sT1uV4wX7yZ0aB2cD5eF8gH1iJ4kL7mN0oP3qR6sT9uV2wX5yZ8aB1cD4eF7gH0iJ3kL6mN9oP2"#,
    r#"qR5sT8uV1wX4yZ7aB0cD3eF6gH9iJ2kL5mN8oP1qR4sT7uV0wX3yZ6aB9cD2eF5gH8iJ1kL4mN7oP0qR3sT6uV9wX2yZ5aB8cD1eF4gH"#,
    r#"7iJ0kL3mN6oP9qR2sT5uV8wX1yZ4aB7cD0eF3gH6iJ9kL2mN5oP8qR1sT4uV7wX0yZ3aB6cD9"}"#
);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// `pgbench`, prepared single-row inserts.
    Pgbench,
    /// cqrs-es with postgres-es: load, handle, commit.
    CqrsEs,
    /// `PgEventStore::append`.
    Ours,
}

/// Under which conditions.
pub(crate) struct Setting<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) writers: usize,
    pub(crate) duration: Duration,
}

/// Appends a second, and how soon half and 99 of 100 were answered, where that is known.
pub(crate) type Outcome = (f64, Option<(Duration, Duration)>);

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Pgbench, Self::CqrsEs, Self::Ours];

    pub(crate) async fn run(self, setting: &Setting<'_>) -> Outcome {
        let database = fresh_database(setting.cluster).await;
        let outcome = match self {
            Self::Pgbench => pgbench::run(setting, &database).await,
            Self::CqrsEs => cqrs::run(setting, &database).await,
            Self::Ours => ours::run(setting, &database).await,
        };
        admin(
            setting.cluster,
            format!("DROP DATABASE {database} WITH (FORCE)"),
        )
        .await;
        outcome
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pgbench => "pgbench",
            Self::CqrsEs => "cqrs-es",
            Self::Ours => "ours",
        })
    }
}

async fn fresh_database(cluster: &Cluster) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("run_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    admin(cluster, format!("CREATE DATABASE {name}")).await;
    name
}

async fn admin(cluster: &Cluster, sql: String) {
    let mut connection = PgConnection::connect_with(cluster.connect_options())
        .await
        .expect("Postgres takes connections");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .expect("a superuser may");
    connection.close().await.expect("the connection closes");
}

/// Lets each writer, a task of its own, append one event after the other for as long as the run lasts. `append` gets the
/// number of the writer and of the event.
async fn closed_loop<F: Future<Output = ()> + Send>(
    setting: &Setting<'_>,
    append: impl Fn(usize, u64) -> F + Clone + Send + 'static,
) -> (Outcome, usize) {
    let (started, duration) = (Instant::now(), setting.duration);
    let writers = TaskTracker::new();
    let tasks: Vec<_> = (0..setting.writers)
        .map(|number| {
            let append = append.clone();
            writers.spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < duration {
                    let asked = Instant::now();
                    append(number, latencies.len() as u64).await;
                    latencies.push(asked.elapsed());
                }
                latencies
            })
        })
        .collect();
    let finished = join_all(tasks).await.into_iter();
    let mut latencies: Vec<Duration> = finished
        .flat_map(|writer| writer.expect("no writer panics"))
        .collect();
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let quantile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of appends is far below 2^52"
    )]
    let rate = latencies.len() as f64 / elapsed.as_secs_f64();
    ((rate, Some((quantile(50), quantile(99)))), latencies.len())
}
